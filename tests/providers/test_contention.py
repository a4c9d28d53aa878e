"""Strict rotation at a provider that nobody here wrote: by its own count, no refresh token is used twice."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localdev.openid_provider import OpenIdProvider
from shared.accounts import State
from tests.providers.people import enrol
from tests.running_app import Clock, RunningApp
from tests.support import MakeServices, keys_of
from timer_worker.sweep import Sweep

FULL = bool(os.environ.get("UNDERSTUDY_FULL"))
ROUNDS, PEOPLE, AT_ONCE = (25, 8, 5) if FULL else (2, 4, 5)


def signed_in_browsers(app: RunningApp, provider: OpenIdProvider) -> list[Any]:
    """One browser per person, each signed in."""
    browsers = []
    for number in range(PEOPLE):
        browser = app.browser()
        location = browser.get("/signin?prompt=consent", **{"Sec-Fetch-Site": "same-origin"}).headers["Location"]
        assert browser.get(provider.sign_in(location, f"person-{number}")).headers["Location"] == "/"
        browsers.append(browser)
    return browsers


def look(browser: Any) -> int:
    """Asks for /me on a connection of its own, which nobody closes meanwhile. Returns the status."""
    status: int = browser.get("/me", Accept="application/json", Connection="close").status_code
    return status


def test_no_refresh_token_is_used_twice_while_people_and_sweeps_race(
    start_app: Callable[..., RunningApp], provider: OpenIdProvider
) -> None:
    """Several requests of each person and a sweep at a time, with tokens that are renewed each time. The long run makes
    a thousand requests."""
    provider.reset(rotation=True, access_token_seconds=50, latency_ms=20)
    app = start_app(SESSION_IDLE="1d", SESSION_ABSOLUTE="1d")
    provider.settings(app.url)
    browsers = signed_in_browsers(app, provider)
    statuses = []
    with ThreadPoolExecutor(PEOPLE * AT_ONCE + 1) as threads:
        for _ in range(ROUNDS):
            app.clock.move(minutes=10)  # everybody is due, and away until they come
            swept = threads.submit(app.host.fire, "sweep")
            asked = [threads.submit(look, each) for each in browsers for _ in range(AT_ONCE)]
            statuses += [each.result() for each in asked]
            assert swept.result().succeeded
    counts = provider.counts()
    assert set(statuses) == {200}
    assert counts["reused"] == 0
    assert counts["refused"] == []
    assert counts["redeemed"] >= ROUNDS * PEOPLE
    assert {each.state for each in app.accounts()} == {State.ACTIVE}


def test_one_person_never_stops_everybody(make_services: MakeServices, provider: OpenIdProvider) -> None:
    """One did not agree to `profile`, and one took everything back: the others are swept, also by the next sweep."""
    provider.reset(rotation=True, access_token_seconds=50)
    clock = Clock()
    keys = keys_of(make_services)
    app = make_services(clock=clock, ENCRYPTION_KEYS=keys)
    enrol(app, provider, "partial", refuse="profile")
    for name in ("gone", "ada", "ben", "chiara"):
        enrol(app, provider, name)
    provider.revoke("gone")
    counts = []
    for _ in range(2):
        clock.move(minutes=70)
        record = Sweep(app, tasks=()).run(app.store.slots())
        assert record
        assert record.stopped == ""
        counts.append(record.counts)
    assert counts == [{"fresh": 4, "sign_in_required": 1}, {"fresh": 4}]
    assert provider.counts()["reused"] == 0
