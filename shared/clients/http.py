"""The HTTP client for MSAL and for Microsoft Graph, on urllib3.

The package `requests` costs a third more CPU per token than urllib3 beneath it. This module adds what is needed of it:
time-outs, one pool, proxies from the environment. The errors are RequestExceptions, because MSAL knows these.

MSAL hides the status and Retry-After of an answer, and remembers 429 and 5xx by itself. So identity/msal_http_client.py
raises such answers as Throttled and Unavailable. MSAL lets them pass, or falls back on an access token that is still
valid (`_acquire_token_silent_from_cache_and_possibly_refresh_it`, msal/application.py).
"""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import certifi
import urllib3
from requests import RequestException
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError

from shared.clock import utc_now

CONNECT_SECONDS = 5.0
READ_SECONDS = 8.0
LONGEST_SECONDS = 20.0  # after this no further wait for data begins
LONGEST_REQUEST_SECONDS = LONGEST_SECONDS + READ_SECONDS  # after the name lookup; one more connect per further address
_DEFAULT_RETRY_AFTER = 60.0
_LONGEST_RETRY_AFTER = 3600.0
_PART_BYTES = 64 * 1024
_LARGEST_ANSWER_BYTES = 4 * 1024 * 1024


class Throttled(RequestException):
    """The endpoint answered 429.

    Attributes:
        after: seconds to wait.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"throttled for {retry_after:.0f} s")
        self.after = retry_after


class Unavailable(RequestException):
    """The endpoint failed, could not be reached, or gave an answer that can't be read.

    Attributes:
        reason: a word for logs: `http_503`, `timeout`, `connection`, `tls`, `unparsable`, or an OAuth error.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"unavailable: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class HttpAnswer:
    """A complete HTTP response, in the shape that MSAL expects of its `http_client`.

    Attributes:
        headers: names in lower case.
        content: the body, decompressed.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @cached_property
    def text(self) -> str:
        """The body as UTF-8 text; other bytes are replaced."""
        return self.content.decode("utf-8", errors="replace")

    def raise_for_status(self) -> None:
        """Raises Unavailable for a status of 400 or more. MSAL calls this after discovery."""
        if self.status_code >= 400:
            raise Unavailable(f"http_{self.status_code}")


class HttpClient:
    """One connection pool for the process, safe to use from many threads.

    Args:
        ca_bundle: path of a PEM file, or "" for certifi's.
        pool_size: connections kept per host. More are made when needed, and closed after use.
        connect_seconds: time-out for a connection.
        read_seconds: time-out for each wait for data.
        clock: the time, for Retry-After dates.
    """

    def __init__(
        self,
        *,
        ca_bundle: str = "",
        pool_size: int = 64,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._options: dict[str, Any] = {
            "ca_certs": ca_bundle or certifi.where(),
            "cert_reqs": "CERT_REQUIRED",
            "maxsize": pool_size,
            "block": False,
        }
        self._timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        self._clock = clock
        self._direct = urllib3.PoolManager(**self._options)
        self._proxies: dict[str, urllib3.ProxyManager] = {}
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._lock = threading.Lock()

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
            Unavailable: no complete answer came.
        """
        sent = {name: value for name, value in (headers or {}).items() if value is not None}
        timeout = self._timeout
        if seconds is not None:
            timeout = urllib3.Timeout(total=seconds, connect=timeout.connect_timeout, read=timeout.read_timeout)
        try:
            return self._send(method, url, headers=sent, body=body, timeout=timeout)
        except Unavailable as error:
            if not (repeatable and error.reason == "connection"):
                raise
            return self._send(method, url, headers=sent, body=body, timeout=timeout)

    def _send(self, method: str, url: str, **options: Any) -> HttpAnswer:
        ends_at = time.monotonic() + LONGEST_SECONDS
        try:
            response = self._pool_for(url).request(
                method, url, retries=False, redirect=False, preload_content=False, **options
            )
            try:
                content = _read_body(response, ends_at)
            except BaseException:
                response.close()
                raise
        except Unavailable:
            raise  # every RequestException is an OSError
        except SSLError as error:
            raise Unavailable("tls") from error
        except NewConnectionError as error:  # to urllib3 it is a TimeoutError too
            raise Unavailable("connection") from error
        except urllib3.exceptions.TimeoutError as error:
            raise Unavailable("timeout") from error
        except (HTTPError, OSError) as error:
            raise Unavailable("connection") from error
        response.release_conn()
        return HttpAnswer(response.status, {name.lower(): value for name, value in response.headers.items()}, content)

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
        """Closes idle connections."""
        for pool in (self._direct, *self._proxies.values()):
            pool.clear()

    def _pool_for(self, url: str) -> urllib3.PoolManager:
        """The pool for this origin. The environment's proxy for it (HTTPS_PROXY, NO_PROXY …) is looked up once."""
        origin = url.split("/", 3)[2]
        if origin not in self._pools:
            proxy = select_proxy(url, get_environ_proxies(url))
            with self._lock:
                if proxy and proxy not in self._proxies:
                    self._proxies[proxy] = urllib3.ProxyManager(proxy, **self._options)
                self._pools[origin] = self._proxies[proxy] if proxy else self._direct
        return self._pools[origin]


def _read_body(response: urllib3.BaseHTTPResponse, ends_at: float) -> bytes:
    """Reads the body. Raises Unavailable when it is too long, or still incomplete at `ends_at`: urllib3's read time-out
    limits one wait only."""
    content = bytearray()
    while part := response.read1(_PART_BYTES, decode_content=True):
        content += part
        if len(content) > _LARGEST_ANSWER_BYTES:
            raise Unavailable("unparsable")
        if time.monotonic() > ends_at:
            raise Unavailable("timeout")
    return bytes(content)


def form(data: Mapping[str, Any]) -> bytes:
    """An application/x-www-form-urlencoded body."""
    return urlencode({name: value for name, value in data.items() if value is not None}).encode()


def json_object(answer: HttpAnswer) -> dict[str, Any]:
    """The body as a JSON object. Raises Unavailable when it is anything else."""
    try:
        value = json.loads(answer.content.decode())
    except (ValueError, RecursionError) as error:
        raise Unavailable("unparsable") from error
    if not isinstance(value, dict):
        raise Unavailable("unparsable")
    return value
