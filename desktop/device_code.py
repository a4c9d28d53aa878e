"""Signing in with a code on another device (RFC 8628): for machines without a browser."""

import time
from typing import Any

from desktop.console import Console
from desktop.failures import Failed

_SHOWN = ("user_code", "verification_uri", "expires_in")


def sign_in(app: Any, scopes: list[str], console: Console, *, claims: str = "") -> dict[str, Any]:
    """MSAL's result: it waits until the person allowed or declined it, or the code expired.

    Raises:
        Failed: there is no such flow here, or the code expired.
    """
    flow = app.initiate_device_flow(scopes, claims_challenge=claims or None)
    if "user_code" not in flow:
        raise Failed.of(flow)
    console.event("device_code", {name: flow[name] for name in _SHOWN}, flow["message"])

    def over(flow: dict[str, Any]) -> bool:
        """Asked by MSAL once a second."""
        left = int(flow["expires_at"] - time.time())
        console.progress(
            f"Waiting for you to finish there; the code is good for {max(left, 0)} s more. Ctrl+C ends it."
        )
        return left <= 0

    result = dict(app.acquire_token_by_device_flow(flow, exit_condition=over, claims_challenge=claims or None))
    console.progress("")
    if result.get("error") == "authorization_pending":
        raise Failed("expired_token")
    return result
