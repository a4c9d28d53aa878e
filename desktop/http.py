"""MSAL's HTTP client for the authority. requests reads REQUESTS_CA_BUNDLE and the variables for proxies itself."""

from typing import Any
from urllib.parse import urlsplit

import requests

_SECONDS = 30


class AuthoritySession(requests.Session):
    """A session with a time-out for every request.

    Args:
        authority: its port is restored where MSAL drops it (the URL for user realm discovery has the host name only).
    """

    def __init__(self, authority: str) -> None:
        super().__init__()
        parts = urlsplit(authority)
        self._without_port = f"https://{parts.hostname}/" if parts.port else ""
        self._with_port = f"https://{parts.netloc}/"

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        """Sends one request. MSAL calls it through `get` and `post`."""
        wanted = url.decode() if isinstance(url, bytes) else url
        if self._without_port and wanted.startswith(self._without_port):
            wanted = self._with_port + wanted.removeprefix(self._without_port)
        return super().request(method, wanted, *args, **{"timeout": _SECONDS} | options)
