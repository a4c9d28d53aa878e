"""The procedures of docs/security.md for encryption keys, step by step, with a sweep at every step."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from shared.accounts import State
from shared.sealing import new_key, sealed_with
from shared.services import Services
from tests.running_app import RunningApp
from timer_worker.sweep import run_tick

PEOPLE = [f"{name}@contoso.example" for name in ("ada", "ben", "chiara", "deniz", "emi")]


def keys_in_use(app: RunningApp) -> set[str]:
    """The ids of the keys that sealed what is stored."""
    return {sealed_with(account.sealed_cache) for account in app.accounts()}


def test_rotation_fails_nobody(start_app: Callable[..., RunningApp]) -> None:
    """The old key is alone, the new key is added second, then moved first, then the old key is retired when nothing
    needs it."""
    old, new = new_key("k2026"), new_key("k2027")
    app = start_app(ENCRYPTION_KEYS=old)
    browsers = [app.browser() for _ in PEOPLE]
    for browser, username in zip(browsers, PEOPLE, strict=True):
        browser.sign_in(username)
    for step, keys, sealed in (
        ("1: the new key is known everywhere", f"{old},{new}", {"k2026"}),
        ("2: the new key seals", f"{new},{old}", {"k2027"}),
        ("3: the old key is gone", new, {"k2027"}),
    ):
        app = start_app(ENCRYPTION_KEYS=keys)
        app.clock.move(hours=2)
        assert app.counts() == {"fresh": len(PEOPLE)}, step
        assert keys_in_use(app) == sealed, step
        assert {account.state for account in app.accounts()} == {State.ACTIVE}, step


def test_instances_with_either_order_work_side_by_side(start_app: Callable[..., RunningApp]) -> None:
    """While a setting spreads, some instances seal with the new key and others with the old one: each instance opens
    both."""
    old, new = new_key("old"), new_key("new")
    app = start_app(ENCRYPTION_KEYS=f"{old},{new}")
    browser = app.browser()
    browser.sign_in(PEOPLE[0])
    for keys in (f"{new},{old}", f"{old},{new}", f"{new},{old}"):
        app = start_app(ENCRYPTION_KEYS=keys)
        assert browser.get("/me").status_code == 200
        app.clock.move(minutes=20)
        assert browser.get("/me").status_code == 200


def test_sessions_live_through_a_rotation(start_app: Callable[..., RunningApp]) -> None:
    """Cookies are renewed with the newest key; after twelve hours none of the old key is left."""
    old, new = new_key("old"), new_key("new")
    browser = start_app(ENCRYPTION_KEYS=old).browser()
    browser.sign_in(PEOPLE[0])
    app = start_app(ENCRYPTION_KEYS=f"{new},{old}")
    app.clock.move(minutes=10)
    assert browser.get("/me").status_code == 200
    start_app(ENCRYPTION_KEYS=new)
    assert browser.get("/me").status_code == 200


def test_key_retired_too_early_sets_people_aside_as_unreadable_until_it_is_back(
    start_app: Callable[..., RunningApp],
) -> None:
    """Nobody must sign in and no blob is lost. With the key back, the next turn succeeds."""
    old, new = new_key("old"), new_key("new")
    app = start_app(ENCRYPTION_KEYS=old)
    app.browser().sign_in(PEOPLE[0])
    blob = app.accounts()[0].sealed_cache
    app = start_app(ENCRYPTION_KEYS=new)
    app.clock.move(hours=2)
    assert app.counts() == {"unreadable": 1}
    (account,) = app.accounts()
    assert (account.state, account.sealed_cache) == (State.UNREADABLE, blob)
    assert account.failure is not None
    assert account.failure.code == "unknown_key"
    app = start_app(ENCRYPTION_KEYS=f"{new},{old}")
    app.clock.move(hours=2)
    assert app.counts() == {"fresh": 1}
    (account,) = app.accounts()
    assert (account.state, account.failure) == (State.ACTIVE, None)
    assert sealed_with(account.sealed_cache) == "new"


def test_session_of_a_retired_key_is_signed_out_politely(start_app: Callable[..., RunningApp]) -> None:
    """The person sees the welcome page, and a new sign-in works."""
    browser = start_app().browser()
    browser.sign_in(PEOPLE[0])
    app = start_app(ENCRYPTION_KEYS=new_key("other"))
    assert browser.get("/").status_code == 200
    assert browser.get("/me").status_code == 401
    assert browser.sign_in(PEOPLE[0]).status_code == 303
    assert app.accounts()[0].state is State.ACTIVE


def test_two_instances_sweep_with_different_orders_of_keys(
    start_app: Callable[..., RunningApp], make_services: Callable[..., Services]
) -> None:
    """Both sweep at the same time what they can claim. Everybody has one turn, and nobody is unreadable."""
    old, new = new_key("old"), new_key("new")
    app = start_app(ENCRYPTION_KEYS=f"{old},{new}")
    for username in PEOPLE:
        app.browser().sign_in(username)
    app.clock.move(hours=2)
    both = [make_services(clock=app.clock, ENCRYPTION_KEYS=keys) for keys in (f"{old},{new}", f"{new},{old}")]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(run_tick, both))
    records = app.services.store.recent_sweeps(10)
    assert sum((Counter(record.counts) for record in records), Counter()) == {"fresh": len(PEOPLE)}
    assert keys_in_use(app) <= {"old", "new"}
    app = start_app(ENCRYPTION_KEYS=f"{new},{old}")
    app.clock.move(hours=2)
    assert app.counts() == {"fresh": len(PEOPLE)}
    assert keys_in_use(app) == {"new"}
