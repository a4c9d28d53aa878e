"""Documents that an authority publishes (OpenID Connect Discovery 1.0, RFC 7517 keys), cached for the whole process.

MSAL caches discovery per `http_cache`, of which each thread has one: 64 worker threads would ask 64 times.

Anybody can make this app want a document: with a token that names an unknown key, or by opening the sign-in page. So
nobody queues behind an endpoint that is slow or down.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.clients.answers import HttpAnswer, Throttled, Unavailable, json_object
from shared.clients.http import HttpClient

DISCOVERY_SECONDS = 24 * 3600.0
_FAILURE_SECONDS = 60.0
_PATIENCE_SECONDS = 3.0  # far more than a working authority takes
_RENEWAL_SECONDS = 3.0  # the time limit of a fetch while an old document serves
_BUSY_SECONDS = 5.0
_TELLING = ("token_endpoint", "jwks_uri", "keys")  # a document with none of them is an error page, and is not cached


class NotPublished(Unavailable):
    """The document can't be had now.

    Attributes:
        after: seconds after which it is worth asking again.
    """

    def __init__(self, reason: str, after: float) -> None:
        super().__init__(reason)
        self.after = after


class AuthorityRefused(Unavailable):
    """The authority refuses its discovery: an unknown tenant, for instance.

    Attributes:
        answer: the error answer, in the shape of a token endpoint's (RFC 6749, 5.2).
    """

    def __init__(self, answer: dict[str, object]) -> None:
        super().__init__("authority_refused")
        self.answer = answer


class _Failure(NamedTuple):
    """Why a fetch failed, and from when until when that is remembered. A clock that is set back forgets it."""

    error: Throttled | Unavailable
    since: float
    until: float


@dataclass(slots=True)
class _Document:
    """What is known of one document.

    Attributes:
        fetching: held during a fetch.
        fetched: the answer, and when it came.
        failure: of the last fetch; None when that succeeded.
        looked_again: when it was last fetched although it was fresh.
    """

    fetching: threading.Lock = field(default_factory=threading.Lock)
    fetched: tuple[HttpAnswer, float] | None = None
    failure: _Failure | None = None
    looked_again: float = -math.inf

    def younger_than(self, seconds: float, now: float) -> HttpAnswer | None:
        """The answer, unless it is older, or there is none."""
        fetched = self.fetched
        return fetched[0] if fetched and now - fetched[1] < seconds else None

    def recent_failure(self, now: float) -> _Failure | None:
        """The last fetch's failure while it is remembered."""
        failure = self.failure
        return failure if failure and failure.since <= now < failure.until else None

    def must_be_fetched(self, max_age: float, now: float) -> bool:
        """Is it older than that, and may the authority be asked again?"""
        return self.younger_than(max_age, now) is None and self.recent_failure(now) is None

    def why_not(self, now: float) -> Throttled | Unavailable:
        """The error for a caller who gets nothing. Each gets a new object: a raised one belongs to one thread."""
        failure = self.recent_failure(now)
        if failure is None:
            return NotPublished("busy", _BUSY_SECONDS)
        if isinstance(failure.error, Throttled):
            return Throttled(failure.until - now)
        if isinstance(failure.error, AuthorityRefused):
            return AuthorityRefused(failure.error.answer)
        return NotPublished(failure.error.reason, failure.until - now)


class Metadata:
    """Fetches and caches JSON documents by URL.

    There is one fetch at a time per document. A failure is remembered for a minute, or as long as a 429 asks for.

    Attributes:
        clock: the time in seconds, from any start.

    Args:
        patience: those who come while a document is fetched for the first time wait at most so many seconds.
    """

    def __init__(
        self, http: HttpClient, *, clock: Callable[[], float] = time.monotonic, patience: float = _PATIENCE_SECONDS
    ) -> None:
        self._http = http
        self.clock = clock
        self._patience = patience
        self._documents: dict[str, _Document] = {}

    def get(self, url: str, *, max_age: float = DISCOVERY_SECONDS, stale: float = math.inf) -> HttpAnswer:
        """Returns the document. The first caller who needs a newer one fetches it.

        The others get the old one at once. So does everybody while no newer one can be had. Only the very first fetch
        is waited for, and not long.

        Args:
            max_age: a document that is so many seconds old is fetched again.
            stale: it serves for so many seconds longer while that fails, or somebody else is at it.

        Raises:
            Throttled, NotPublished: no usable answer, now or in the last minute; or somebody else is fetching it.
            AuthorityRefused: an answer that is JSON, but neither 200 nor 429 nor 5xx.
        """
        document = self._documents.setdefault(url, _Document())
        patience = 0.0 if document.fetched else self._patience
        if document.must_be_fetched(max_age, self.clock()) and document.fetching.acquire(timeout=patience):
            try:
                if document.must_be_fetched(max_age, self.clock()):  # nobody did in the meantime
                    serves = document.younger_than(max_age + stale, self.clock()) is not None
                    self._renew(document, url, seconds=_RENEWAL_SECONDS if serves else None)
            finally:
                document.fetching.release()
        now = self.clock()
        answer = document.younger_than(max_age + stale, now)
        if answer is None:
            raise document.why_not(now)
        return answer

    def look_again(self, url: str, *, since: float, every: float) -> HttpAnswer:
        """Returns the document, which may have changed although it is fresh: fetches it, unless it was fetched since,
        or somebody looked again less than `every` seconds ago.

        Args:
            since: by `clock`.

        Raises:
            Throttled, NotPublished, AuthorityRefused: as `get`. Nobody waits for somebody else's fetch.
        """
        document = self._documents.setdefault(url, _Document())
        if not document.fetching.acquire(blocking=False):
            raise NotPublished("busy", _BUSY_SECONDS)
        try:
            now = self.clock()
            if document.recent_failure(now):
                raise document.why_not(now)
            if document.fetched and (document.fetched[1] >= since or 0 <= now - document.looked_again < every):
                return document.fetched[0]
            document.looked_again = now
            self._renew(document, url, seconds=_RENEWAL_SECONDS)
            if document.failure or not document.fetched:
                raise document.why_not(self.clock())
            return document.fetched[0]
        finally:
            document.fetching.release()

    def _renew(self, document: _Document, url: str, *, seconds: float | None) -> None:
        """Fetches the document, and notes the answer or the failure."""
        try:
            answer = self._fetch(url, seconds=seconds)
        except (Throttled, Unavailable) as error:
            now = self.clock()
            asked = error.after if isinstance(error, Throttled) else 0.0
            document.failure = _Failure(error, since=now, until=now + max(_FAILURE_SECONDS, asked))
        else:
            document.fetched = (answer, self.clock())
            document.failure = None

    def _fetch(self, url: str, *, seconds: float | None) -> HttpAnswer:
        answer = self._http.request(
            "GET", url, headers={"Accept": "application/json"}, seconds=seconds, repeatable=True
        )
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
