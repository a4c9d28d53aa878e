"""Everything that people, operators and attackers do with this app, once. The leak tests run it."""

from collections.abc import Callable
from dataclasses import dataclass

from localdev.browser import Browser
from localdev.tenant import SampleTenant
from tests.security.raw_http import cookie_header, send
from tests.web_api.api_client import api_token

PEOPLE = [f"{name}@contoso.example" for name in ("ada", "ben", "chiara", "deniz")]


@dataclass
class Flows:
    """Uses an app, in this process or another.

    Args:
        pass_time: moves time so far that everybody is due.
        sweep: fires the timer and waits for its end.
    """

    url: str
    tenant: SampleTenant
    pass_time: Callable[[], None]
    sweep: Callable[[], None]

    def run(self) -> set[str]:
        """Does everything. Returns the secrets that the browsers received: cookies of flows and sessions, codes."""
        browsers = [Browser(self.url) for _ in PEOPLE]
        held: set[str] = set()
        for browser, username in zip(browsers, PEOPLE, strict=True):
            held |= self._signs_in(browser, username)
        held |= self._refused(Browser(self.url))
        for path in ("/", "/me", "/me/photo"):
            browsers[0].get(path)
        self._called(PEOPLE[1])
        self.tenant.change_person(PEOPLE[2], state="revoked")
        self.tenant.add_fault("graph", "status", status=500, times=1)
        self.pass_time()
        self.sweep()
        self.tenant.clear_faults()
        self.tenant.add_fault("token", "status", status=500, times=3)
        self.pass_time()
        self.sweep()
        self.tenant.clear_faults()
        self.tenant.change_app(self.tenant.client_id, secret_state="expired")
        self.pass_time()
        self.sweep()
        browsers[2].get("/me")
        self.tenant.change_app(self.tenant.client_id, secret_state="valid")
        browsers[0].post("/signout", {"keep": "background-work"})
        browsers[1].post("/signout")
        return held

    def _signs_in(self, browser: Browser, username: str) -> set[str]:
        url = browser.to_callback(username)
        held = _values(browser)
        browser.get(url)
        return held | _values(browser)

    def _refused(self, browser: Browser) -> set[str]:
        """Replays, forgeries, broken addresses and secrets in the wrong places."""
        url = browser.to_callback(PEOPLE[3])
        held = _values(browser)
        Browser(self.url).get(url)
        browser.get(f"{url}&code=again")
        browser.get(url)
        browser.get(url)
        session = {"understudy": str(browser.http.cookies.get("understudy"))}
        send(self.url, "POST", "/signout", [cookie_header(session), ("Origin", "https://evil.example")])
        send(self.url, "GET", f"/me?access_token={session['understudy']}", [("Accept", "text/html")])
        send(self.url, "GET", f"/{session['understudy']}", [cookie_header(session)])
        send(self.url, "GET", "/me", [("Host", "["), cookie_header({"understudy": session["understudy"][:-4]})])
        return held | _values(browser)

    def _called(self, username: str) -> None:
        token = api_token(self.tenant, username)
        for method in ("GET", "DELETE"):
            send(self.url, method, "/api/profile", [("Authorization", f"Bearer {token}")])
        send(self.url, "GET", "/api/profile", [("Authorization", f"Bearer {token[:-9]}")])


def _values(browser: Browser) -> set[str]:
    return {str(cookie.value) for cookie in browser.http.cookies if "understudy" in cookie.name}
