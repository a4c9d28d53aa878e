"""Documents of an authority that is slow or down: one fetch at a time, failures are remembered, nobody queues."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from localdev.tenant import SampleTenant
from shared.clients.answers import HttpAnswer, Throttled, Unavailable
from shared.clients.http import HttpClient
from shared.errors import TryLater
from shared.identity.metadata import AuthorityRefused, Metadata, NotPublished
from tests.shared.authority import Authority, Monotonic, serving
from tests.support import MakeServices

DAY = 24 * 3600.0
MINUTE = 60.0
MakeMetadata = Callable[..., Metadata]


class NotingClient(HttpClient):
    """Notes the time limit of each request, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[float | None] = []

    def request(self, method: str, url: str, **options: Any) -> HttpAnswer:
        """See HttpClient."""
        self.limits.append(options["seconds"])
        return super().request(method, url, **options)


@pytest.fixture
def clock() -> Monotonic:
    """The cache's clock."""
    return Monotonic()


@pytest.fixture
def authority() -> Iterator[Authority]:
    """An authority with one key."""
    with serving() as server:
        yield server


@pytest.fixture
def make(clock: Monotonic) -> Iterator[MakeMetadata]:
    """Makes the cache: `make(patience=0)`."""
    http = HttpClient(longest_seconds=60)
    yield lambda **options: Metadata(http, clock=clock, **options)
    http.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for those who wait."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


def fails(metadata: Metadata, url: str, **options: float) -> Throttled | Unavailable:
    """The error of a document that can't be had."""
    with pytest.raises((Throttled, Unavailable)) as failed:
        metadata.get(url, **options)
    error = failed.value
    assert isinstance(error, (Throttled, Unavailable))
    return error


def held(authority: Authority, threads: ThreadPoolExecutor, metadata: Metadata, path: str) -> "Future[HttpAnswer]":
    """Starts a fetch that is not answered yet."""
    before = authority.fetched[path]
    authority.hold(path)
    found = threads.submit(metadata.get, authority.url + path)
    authority.wait_for(path, before + 1)
    return found


def test_those_who_come_during_the_first_fetch_share_it(
    authority: Authority, make: MakeMetadata, threads: ThreadPoolExecutor
) -> None:
    """They have the patience to wait for a working authority."""
    metadata = make(patience=60)
    first = held(authority, threads, metadata, "/keys")
    others = [threads.submit(metadata.get, f"{authority.url}/keys") for _ in range(5)]
    assert not any(each.done() for each in (first, *others))
    authority.release("/keys")
    assert all(each.result() is first.result() for each in others)
    assert authority.fetched["/keys"] == 1


def test_nobody_waits_longer_than_the_patience_for_somebody_elses_first_fetch(
    authority: Authority, make: MakeMetadata, threads: ThreadPoolExecutor
) -> None:
    """They are told to come back, while the first one still waits."""
    metadata = make(patience=0)
    first = held(authority, threads, metadata, "/keys")
    error = fails(metadata, f"{authority.url}/keys")
    assert isinstance(error, NotPublished)
    assert (error.reason, error.after) == ("busy", 5)
    assert not first.done()
    authority.release("/keys")
    assert first.result().status_code == 200
    assert authority.fetched["/keys"] == 1


def test_a_slow_document_holds_up_no_other_document(
    authority: Authority, make: MakeMetadata, threads: ThreadPoolExecutor
) -> None:
    """Each has a lock of its own."""
    metadata = make()
    first = held(authority, threads, metadata, "/keys")
    assert metadata.get(f"{authority.url}/discovery").status_code == 200
    assert not first.done()
    authority.release("/keys")
    assert first.result().status_code == 200


def test_an_old_document_serves_while_somebody_fetches_a_newer_one(
    authority: Authority, make: MakeMetadata, threads: ThreadPoolExecutor, clock: Monotonic
) -> None:
    """Whoever began the fetch gets the new one, the others the old one at once."""
    metadata = make()
    old = metadata.get(f"{authority.url}/keys")
    clock.seconds += DAY + 1
    authority.add_key("k2")
    first = held(authority, threads, metadata, "/keys")
    assert metadata.get(f"{authority.url}/keys") is old
    assert not first.done()
    authority.release("/keys")
    assert first.result() is not old
    assert metadata.get(f"{authority.url}/keys") is first.result()
    assert authority.fetched["/keys"] == 2


def test_who_renews_a_document_that_still_serves_waits_for_seconds_only(authority: Authority, clock: Monotonic) -> None:
    """The first fetch has the client's own time limit, and so has one that nothing else helps."""
    with contextlib.closing(NotingClient()) as http:
        metadata = Metadata(http, clock=clock)
        metadata.get(f"{authority.url}/keys")
        clock.seconds += DAY
        metadata.get(f"{authority.url}/keys")
        clock.seconds += MINUTE
        metadata.get(f"{authority.url}/keys", max_age=MINUTE, stale=0)
    assert http.limits == [None, 3.0, None]


def test_who_needs_a_newer_document_is_refused_at_once_while_somebody_fetches_it(
    authority: Authority, make: MakeMetadata, threads: ThreadPoolExecutor, clock: Monotonic
) -> None:
    """What is known would not help, and waiting is for the first fetch only."""
    metadata = make()
    metadata.get(f"{authority.url}/keys")
    clock.seconds += DAY + 1
    first = held(authority, threads, metadata, "/keys")
    assert fails(metadata, f"{authority.url}/keys", max_age=MINUTE, stale=0).args == ("unavailable: busy",)
    assert not first.done()
    authority.release("/keys")
    first.result()
    assert authority.fetched["/keys"] == 2


def test_a_failure_is_remembered_for_a_minute(authority: Authority, make: MakeMetadata, clock: Monotonic) -> None:
    """Everybody is told how long; then one asks again, and the authority is back."""
    metadata = make()
    authority.status = 503
    first = fails(metadata, f"{authority.url}/keys")
    authority.status = 200
    clock.seconds += MINUTE - 1
    again = fails(metadata, f"{authority.url}/keys")
    assert again is not first
    assert isinstance(again, NotPublished)
    assert (again.reason, again.after) == ("http_503", 1)
    assert authority.fetched["/keys"] == 1
    clock.seconds += 1
    assert metadata.get(f"{authority.url}/keys").status_code == 200


def test_a_clock_that_is_set_back_does_not_prolong_a_failure(
    authority: Authority, make: MakeMetadata, clock: Monotonic
) -> None:
    """The authority is asked again at once."""
    metadata = make()
    authority.status = 503
    fails(metadata, f"{authority.url}/keys")
    authority.status = 200
    clock.seconds -= 3600
    assert metadata.get(f"{authority.url}/keys").status_code == 200


@pytest.mark.parametrize(("asked", "remembered"), [("300", 300.0), ("1", MINUTE)])
def test_a_throttling_authority_is_left_alone_as_long_as_it_asks_for(
    authority: Authority, make: MakeMetadata, clock: Monotonic, asked: str, remembered: float
) -> None:
    """And for a minute at least."""
    metadata = make()
    authority.status, authority.headers = 429, {"Retry-After": asked}
    fails(metadata, f"{authority.url}/keys")
    clock.seconds += remembered - 1
    again = fails(metadata, f"{authority.url}/keys")
    assert isinstance(again, Throttled)
    assert again.after == 1
    assert authority.fetched["/keys"] == 1
    clock.seconds += 1
    fails(metadata, f"{authority.url}/keys")
    assert authority.fetched["/keys"] == 2


def test_a_refusal_is_remembered_with_its_answer(authority: Authority, make: MakeMetadata) -> None:
    """An unknown tenant is not asked for again by each request."""
    metadata = make()
    authority.status = 400
    for _ in range(3):
        error = fails(metadata, f"{authority.url}/discovery")
        assert isinstance(error, AuthorityRefused)
        assert "jwks_uri" in error.answer
    assert authority.fetched["/discovery"] == 1


def test_an_old_document_serves_as_long_as_it_may_while_there_is_no_newer_one(
    authority: Authority, make: MakeMetadata, clock: Monotonic
) -> None:
    """The authority is asked once a minute meanwhile."""
    metadata = make()
    old = metadata.get(f"{authority.url}/keys", stale=DAY)
    authority.status = 503
    clock.seconds += DAY
    assert all(metadata.get(f"{authority.url}/keys", stale=DAY) is old for _ in range(5))
    assert authority.fetched["/keys"] == 2
    clock.seconds += DAY - 1
    assert metadata.get(f"{authority.url}/keys", stale=DAY) is old
    clock.seconds += 1
    assert fails(metadata, f"{authority.url}/keys", stale=DAY).args == ("unavailable: http_503",)
    assert metadata.get(f"{authority.url}/keys") is old
    assert authority.fetched["/keys"] == 3


def test_sign_ins_share_the_memory_of_a_failed_discovery(
    sample_tenant: SampleTenant, make_services: MakeServices
) -> None:
    """The second one is told to come back in a minute, without a request."""
    identity = make_services().identity
    sample_tenant.add_fault("discovery", "status", status=503, times=1)
    for _ in range(2):
        with pytest.raises(TryLater, match="http_503") as failed:
            identity.begin_sign_in()
        assert failed.value.retry_after is not None
        assert 0 < failed.value.retry_after <= MINUTE
