"""Sign-in in the system's browser (RFC 8252): authorization code with PKCE, answered on a free loopback port."""

import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msal.oauth2cli.oauth2 import BrowserInteractionTimeoutError

from desktop.console import Console
from desktop.failures import Failed

SUCCESS_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Signed in</title>
<body style="font-family: system-ui, sans-serif; max-width: 34rem; margin: 4rem auto">
<h1>You are signed in</h1><p>Go back to the command line. You can close this page.</p></body></html>"""
ERROR_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Not signed in</title>
<body style="font-family: system-ui, sans-serif; max-width: 34rem; margin: 4rem auto">
<h1>You could not be signed in</h1><p>$error</p><p>$error_description</p>
<p>Go back to the command line: it says what you can do.</p></body></html>"""

OpenBrowser = Callable[[str], bool]


@dataclass(frozen=True)
class Interactive:
    """An interactive sign-in.

    Attributes:
        prompt: select_account, consent, login, none; "" lets the tenant decide.
        extra_scopes: to consent to at the same time, for other resources.
        claims: a claims challenge as JSON text.
        seconds: how long to wait for the person.
        open_browser: opens a URL; None takes the system's browser (BROWSER names another).
    """

    prompt: str = ""
    login_hint: str = ""
    extra_scopes: tuple[str, ...] = ()
    claims: str = ""
    seconds: int = 300
    open_browser: OpenBrowser | None = None

    def sign_in(self, app: Any, scopes: list[str], console: Console) -> dict[str, Any]:
        """Opens the browser, waits for the answer, returns MSAL's result. Raises Failed when nobody answers in time."""
        if self.open_browser:
            webbrowser.register("understudy", None, _Opener(self.open_browser), preferred=True)
        try:
            result = app.acquire_token_interactive(
                scopes,
                prompt=self.prompt or None,
                login_hint=self.login_hint or None,
                extra_scopes_to_consent=list(self.extra_scopes) or None,
                claims_challenge=self.claims or None,
                timeout=self.seconds,
                parent_window_handle=app.CONSOLE_WINDOW_HANDLE,
                on_before_launching_ui=lambda **_: console.show_event("browser", {}, "A browser opens: sign in there."),
                success_template=SUCCESS_PAGE,
                error_template=ERROR_PAGE,
                auth_uri_callback=lambda url: console.show_event(
                    "open", {"url": url}, f"Open this address in a browser: {url}"
                ),
            )
        except BrowserInteractionTimeoutError as error:
            raise Failed("nobody_answered") from error
        return dict(result)


class _Opener(webbrowser.BaseBrowser):
    def __init__(self, opener: OpenBrowser) -> None:
        super().__init__()
        self._opener = opener

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:  # noqa: ARG002 - webbrowser's
        return self._opener(url)
