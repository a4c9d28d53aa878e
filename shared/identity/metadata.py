"""Documents that an authority publishes (OpenID Connect Discovery 1.0, RFC 7517 keys), cached for the whole process.

MSAL caches discovery per `http_cache`, of which each thread has one: 64 worker threads would ask 64 times.
"""

import threading
import time
from collections.abc import Callable

from shared.clients.http import HttpAnswer, HttpClient, Throttled, Unavailable, json_object

DISCOVERY_SECONDS = 24 * 3600.0
_TELLING = ("token_endpoint", "jwks_uri", "keys")  # a document with none of them is an error page, and is not cached


class AuthorityRefused(Unavailable):
    """The authority refuses its discovery: an unknown tenant, for instance.

    Attributes:
        answer: the error answer, in the shape of a token endpoint's (RFC 6749, 5.2).
    """

    def __init__(self, answer: dict[str, object]) -> None:
        super().__init__("authority_refused")
        self.answer = answer


class Metadata:
    """Fetches and caches JSON documents by URL. Failures are not cached.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, http: HttpClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, HttpAnswer]] = {}

    def get(self, url: str, *, max_age: float = DISCOVERY_SECONDS) -> HttpAnswer:
        """Returns the document, at most `max_age` seconds old. Threads that ask at the same time share one request.

        Raises:
            Throttled, Unavailable: no usable answer.
            AuthorityRefused: an answer that is JSON, but neither 200 nor 429 nor 5xx.
        """
        known = self._known.get(url)
        if known and self._clock() - known[0] < max_age:
            return known[1]
        with self._lock:
            known = self._known.get(url)
            if known and self._clock() - known[0] < max_age:
                return known[1]
            answer = self._fetch(url)
            self._known[url] = (self._clock(), answer)
            return answer

    def _fetch(self, url: str) -> HttpAnswer:
        answer = self._http.request("GET", url, headers={"Accept": "application/json"}, repeatable=True)
        if answer.status_code == 429:
            raise Throttled(self._http.retry_after(answer))
        if answer.status_code >= 500:
            raise Unavailable(f"http_{answer.status_code}")
        document = json_object(answer)
        if answer.status_code != 200:
            raise AuthorityRefused(document)
        if not any(document.get(name) for name in _TELLING):
            raise Unavailable("unparsable")
        return answer
