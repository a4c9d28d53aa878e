"""The HTTP client for MSAL and for Microsoft Graph, on libcurl: time limits, one pool, proxies from the environment."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import certifi
from requests.utils import get_environ_proxies, requote_uri, select_proxy

from shared.clients.answers import HttpAnswer, Unavailable
from shared.clients.transfers import Request, Transfers
from shared.clock import utc_now

CONNECT_SECONDS = 5.0
LONGEST_SECONDS = 20.0  # with everything, also looking up the name: libcurl ends the transfer then
_DEFAULT_RETRY_AFTER = 60.0
_LONGEST_RETRY_AFTER = 3600.0


class HttpClient:
    """One connection pool for the process, safe to use from many threads.

    Args:
        ca_bundle: path of a PEM file, or "" for certifi's.
        pool_size: connections kept per host. More are made when needed, and closed after use.
        connect_seconds: time-out for a connection.
        longest_seconds: time limit for a whole request.
        clock: the time, for Retry-After dates.
    """

    def __init__(
        self,
        *,
        ca_bundle: str = "",
        pool_size: int = 64,
        connect_seconds: float = CONNECT_SECONDS,
        longest_seconds: float = LONGEST_SECONDS,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._transfers = Transfers(ca_bundle=ca_bundle or certifi.where(), kept_connections=pool_size)
        self._connect_seconds = connect_seconds
        self._longest_seconds = longest_seconds
        self._clock = clock
        self._proxies: dict[str, str] = {}

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str | None] | None = None,
        body: bytes | None = None,
        seconds: float | None = None,
        repeatable: bool = False,
    ) -> HttpAnswer:
        """Sends a request. Returns the answer, whatever its status. Follows no redirect.

        Args:
            headers: those that are None are left out.
            seconds: the time limit of each attempt, when shorter than the client's own.
            repeatable: send it once more when the connection broke? Only the caller knows whether that is safe.

        Raises:
            Unavailable: no complete answer came, or the URL is none: an authority's document may name anything.
            ValueError: a header holds a line break.
        """
        lines = [f"{name}: {value}" for name, value in (headers or {}).items() if value is not None]
        if any(end in line for line in lines for end in "\r\n\0"):
            raise ValueError("a header holds a line break")
        try:
            address, proxy = url if url.isascii() and " " not in url else requote_uri(url), self._proxy_for(url)
        except (IndexError, ValueError) as error:
            raise Unavailable("connection") from error
        request = Request(
            method,
            address,
            headers=lines,
            body=body,
            proxy=proxy,
            connect_seconds=self._connect_seconds,
            seconds=min(self._longest_seconds, self._longest_seconds if seconds is None else seconds),
        )
        try:
            return self._transfers.send(request)
        except Unavailable as error:
            if not (repeatable and error.reason == "connection"):
                raise
            return self._transfers.send(request)

    def retry_after(self, answer: HttpAnswer) -> float:
        """Seconds to wait by Retry-After (RFC 9110, 10.2.3: seconds or a date), an hour at most; a minute when the
        header is missing or malformed."""
        text = answer.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text), _LONGEST_RETRY_AFTER)
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return _DEFAULT_RETRY_AFTER
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return min(max((date - self._clock()).total_seconds(), 0.0), _LONGEST_RETRY_AFTER)

    def close(self) -> None:
        """Ends the connections and their thread."""
        self._transfers.close()

    def _proxy_for(self, url: str) -> str:
        """The environment's proxy for this origin (HTTPS_PROXY, NO_PROXY …), or "". It is looked up once."""
        origin = url.split("/", 3)[2]
        proxy = self._proxies.get(origin)
        if proxy is None:
            proxy = self._proxies[origin] = select_proxy(url, get_environ_proxies(url)) or ""
        return proxy


def form(data: Mapping[str, Any]) -> bytes:
    """An application/x-www-form-urlencoded body."""
    return urlencode({name: value for name, value in data.items() if value is not None}).encode()
