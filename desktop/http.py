"""How the client reaches the authority: MSAL's `http_client`. REQUESTS_CA_BUNDLE and proxies count as in requests."""

from typing import Any
from urllib.parse import urlsplit

import requests

_SECONDS = 30


class AuthoritySession(requests.Session):
    """One session, with a time-out on every request.

    Args:
        authority: its port is put back where MSAL leaves it out (it asks for a user realm by host name alone).
    """

    def __init__(self, authority: str) -> None:
        super().__init__()
        parts = urlsplit(authority)
        self._without_port = f"https://{parts.hostname}/" if parts.port else ""
        self._with_port = f"https://{parts.netloc}/"

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        """Called by MSAL, through `get` and `post`."""
        wanted = url.decode() if isinstance(url, bytes) else url
        if self._without_port and wanted.startswith(self._without_port):
            wanted = self._with_port + wanted.removeprefix(self._without_port)
        return super().request(method, wanted, *args, **{"timeout": _SECONDS} | options)
