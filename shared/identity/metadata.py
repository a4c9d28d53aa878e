"""Documents that an authority publishes (OpenID Connect Discovery 1.0, RFC 7517 keys), remembered for the whole
process.

MSAL remembers discovery too, but for one app object's cache each: 64 worker threads would ask 64 times.
"""

import threading
import time
from collections.abc import Callable

from shared.clients.http import HttpAnswer, HttpClient, Throttled, Unavailable, json_object

DISCOVERY_SECONDS = 24 * 3600.0
_TELLING = ("token_endpoint", "jwks_uri", "keys")  # one of them is in every document that is worth remembering


class AuthorityRefused(Unavailable):
    """The authority answers its discovery with a 4xx: an unknown tenant, say.

    Attributes:
        answer: the error answer, as of a token endpoint.
    """

    def __init__(self, answer: dict[str, object]) -> None:
        super().__init__("authority_refused")
        self.answer = answer


class Metadata:
    """JSON documents by URL. Failures are not remembered.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, http: HttpClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, HttpAnswer]] = {}

    def get(self, url: str, *, max_age: float = DISCOVERY_SECONDS) -> HttpAnswer:
        """The document, at most `max_age` seconds old; one request however many threads ask.

        Raises:
            Throttled, Unavailable: no usable answer.
            AuthorityRefused: a 4xx.
        """
        known = self._known.get(url)
        if known and self._clock() - known[0] < max_age:
            return known[1]
        with self._lock:
            known = self._known.get(url)
            if known and self._clock() - known[0] < max_age:
                return known[1]
            answer = self._fetched(url)
            self._known[url] = (self._clock(), answer)
            return answer

    def age(self, url: str) -> float | None:
        """Seconds since this document was fetched; None when it never was."""
        known = self._known.get(url)
        return self._clock() - known[0] if known else None

    def _fetched(self, url: str) -> HttpAnswer:
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
