"""A browser without a window for tests and the demo. It keeps cookies and takes redirects one at a time."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse

from localdev.tenant.visitor import Visitor


class Browser:
    """One browser with its cookies. It follows no redirect by itself, so the caller sees each step.

    Args:
        url: the app's URL.
        headers: sent with every request.
    """

    def __init__(self, url: str, **headers: str) -> None:
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers.update({"Accept": "text/html"} | headers)
        self.http.mount("http://", _CookiesAsInBrowsers())

    def get(self, path: str, **headers: str) -> requests.Response:
        """GET a path of the app, or a whole URL."""
        return self.http.get(urljoin(self.url, path), allow_redirects=False, headers=headers)

    def post(self, path: str, data: Mapping[str, str] | None = None, **headers: str) -> requests.Response:
        """POST a form as one of the app's own pages would."""
        sent = {"Origin": self.url} | headers
        return self.http.post(urljoin(self.url, path), data, allow_redirects=False, headers=sent)

    def to_callback(self, username: str, path: str = "/signin", *, accept: bool = True) -> str:
        """Goes from /signin through the tenant's pages. Returns the callback's URL without visiting it.

        Raises:
            requests.HTTPError: the app does not redirect to the tenant. SignInRefused: the tenant refuses.
        """
        answer = self.get(path)
        answer.raise_for_status()
        return Visitor(self.http).sign_in(answer.headers["Location"], username, accept=accept)

    def sign_in(self, username: str, path: str = "/signin") -> requests.Response:
        """Signs in and returns the response of the callback."""
        return self.get(self.to_callback(username, path))

    def close(self) -> None:
        """Closes its connections."""
        self.http.close()


class _CookiesAsInBrowsers(HTTPAdapter):
    """The Functions host writes an empty `domain=`. Browsers ignore it (RFC 6265, 5.2.3); Python's cookie jar
    doesn't."""

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        message: Any = getattr(resp, "_original_response").msg  # noqa: B009 - what the cookie jar reads; it has no public name
        cookies = message.get_all("Set-Cookie", [])
        del message["Set-Cookie"]
        for cookie in cookies:
            message["Set-Cookie"] = "; ".join(part for part in cookie.split("; ") if part.lower() != "domain=")
        return super().build_response(req, resp)
