"""Sign-in with a code on another device (RFC 8628), for machines without a browser."""

import time
from typing import Any

from desktop.console import Console
from desktop.failures import Failed

_SHOWN = ("user_code", "verification_uri", "expires_in")


def sign_in(app: Any, scopes: list[str], console: Console, *, claims: str = "") -> dict[str, Any]:
    """Shows a code, waits until the person allows or declines the sign-in, and returns MSAL's result.

    Raises:
        Failed: the authority has no such flow, or the code expired.
    """
    flow = app.initiate_device_flow(scopes, claims_challenge=claims or None)
    if "user_code" not in flow:
        raise Failed.from_answer(flow)
    console.show_event("device_code", {name: flow[name] for name in _SHOWN}, flow["message"])

    def has_expired(flow: dict[str, Any]) -> bool:
        """MSAL asks once a second."""
        left = int(flow["expires_at"] - time.time())
        console.show_progress(
            f"Waiting for you to finish there. The code expires in {max(left, 0)} s. Ctrl+C stops waiting."
        )
        return left <= 0

    result = dict(app.acquire_token_by_device_flow(flow, exit_condition=has_expired, claims_challenge=claims or None))
    console.show_progress("")
    if result.get("error") == "authorization_pending":
        raise Failed("expired_token")
    return result
