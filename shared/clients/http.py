"""The HTTP client behind MSAL's `http_client` seam and behind Microsoft Graph: urllib3 directly.

requests costs a third more CPU for each token than urllib3 beneath it; what requests adds that we need (time-outs, one
pool, proxies and CA bundle from the environment) is here. `requests` itself stays for its exception tree, which MSAL
looks for.

MSAL hides a status and Retry-After, and remembers 429 and 5xx by itself. So answers of that kind never reach it: they
are raised, as RequestExceptions, which MSAL lets pass (or answers with an access token that has life left).
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
LONGEST_SECONDS = 20.0  # and one last wait: still shorter than a lease (access.py)
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
    """The endpoint failed, could not be reached, or gave an answer that nobody can read.

    Attributes:
        reason: a word for logs: `http_503`, `timeout`, `connection`, `tls`, `unparsable`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"unavailable: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class HttpAnswer:
    """A whole HTTP response: what MSAL needs, and bytes for photos.

    Attributes:
        headers: names in lower case.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @cached_property
    def text(self) -> str:
        """The body as UTF-8 text; what isn't, is replaced."""
        return self.content.decode("utf-8", errors="replace")

    def raise_for_status(self) -> None:
        """As MSAL calls it after discovery: Unavailable for every status of 400 and more."""
        if self.status_code >= 400:
            raise Unavailable(f"http_{self.status_code}")


class HttpClient:
    """One connection pool for the process, safe to use from many threads.

    Args:
        ca_bundle: path of a PEM file, or "" for certifi's.
        pool_size: connections kept a host; more are made when needed and closed after use.
        connect_seconds, read_seconds: time-outs; the second is for each wait for data.
        clock: for Retry-After dates.
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
        """One request.

        Args:
            seconds: a limit for the whole request, when shorter than the client's time-outs.
            repeatable: may be sent once more when the connection broke. Whoever asks knows whether asking twice is
                safe.

        Raises:
            Unavailable: no whole answer came.
        """
        sent = {name: value for name, value in (headers or {}).items() if value is not None}
        timeout = self._timeout if seconds is None else self._within(seconds)
        try:
            return self._send(method, url, headers=sent, body=body, timeout=timeout)
        except Unavailable as error:
            if not (repeatable and error.reason == "connection"):
                raise
            return self._send(method, url, headers=sent, body=body, timeout=timeout)

    def _within(self, seconds: float) -> urllib3.Timeout:
        return urllib3.Timeout(total=seconds, connect=self._timeout.connect_timeout, read=self._timeout.read_timeout)

    def _send(self, method: str, url: str, **options: Any) -> HttpAnswer:
        ends_at = time.monotonic() + LONGEST_SECONDS
        try:
            response = self._pool(url).request(
                method, url, retries=False, redirect=False, preload_content=False, **options
            )
            try:
                content = _whole(response, ends_at)
            except BaseException:
                response.close()
                raise
        except Unavailable:
            raise  # an OSError too, as every RequestException
        except SSLError as error:
            raise Unavailable("tls") from error
        except NewConnectionError as error:  # a TimeoutError to urllib3, though nobody waited
            raise Unavailable("connection") from error
        except urllib3.exceptions.TimeoutError as error:
            raise Unavailable("timeout") from error
        except (HTTPError, OSError) as error:
            raise Unavailable("connection") from error
        response.release_conn()
        return HttpAnswer(response.status, {name.lower(): value for name, value in response.headers.items()}, content)

    def retry_after(self, answer: HttpAnswer) -> float:
        """Seconds to wait by Retry-After (RFC 9110, 10.2.3: seconds or a date); a minute when it says nothing
        usable."""
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

    def _pool(self, url: str) -> urllib3.PoolManager:
        """The pool for this origin; which proxy stands before it is asked once (HTTPS_PROXY, NO_PROXY and the like)."""
        origin = url.split("/", 3)[2]
        if origin not in self._pools:
            proxy = select_proxy(url, get_environ_proxies(url))
            with self._lock:
                self._pools[origin] = self._proxy(proxy) if proxy else self._direct
        return self._pools[origin]

    def _proxy(self, proxy: str) -> urllib3.PoolManager:
        if proxy not in self._proxies:
            self._proxies[proxy] = urllib3.ProxyManager(proxy, **self._options)
        return self._proxies[proxy]


def _whole(response: urllib3.BaseHTTPResponse, ends_at: float) -> bytes:
    """The body. Who sends it drop by drop, or without end, is cut off: each wait has its own time-out, all have one."""
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
