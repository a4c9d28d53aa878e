"""The queue `sign-in-required`: once for each person who is set aside, again with the same id only after a crash."""

import json
from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.storage.queue import QueueClient, QueueServiceClient, TextBase64DecodePolicy

from shared.accounts import Account, State
from shared.clients.queues import Queues
from shared.errors import StoreError, StoreUnavailable
from shared.services import Services
from shared.store import AccountStore
from tests.running_app import RunningApp
from timer_worker.notifications import SIGN_IN_REQUIRED

DENIZ = "deniz@contoso.example"


@pytest.fixture(autouse=True)
def messages(queues: QueueServiceClient) -> Callable[[], list[dict[str, Any]]]:
    """Takes every message that waits, in order."""
    client: QueueClient = queues.get_queue_client(SIGN_IN_REQUIRED, message_decode_policy=TextBase64DecodePolicy())

    def take() -> list[dict[str, Any]]:
        if SIGN_IN_REQUIRED not in [queue.name for queue in queues.list_queues()]:
            return []
        return [json.loads(message.content) for message in client.receive_messages(max_messages=32)]

    return take


class Failing:
    """A store whose batch writes fail from the n-th on: the process ended there."""

    def __init__(self, store: AccountStore, *, writes: int) -> None:
        self._store = store
        self._writes = writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def save_many(self, accounts: Sequence[Account]) -> list[Account | StoreError]:
        """Writes, as long as it may."""
        if self._writes == 0:
            raise StoreUnavailable("write accounts", None, "crashed")
        self._writes -= 1
        return self._store.save_many(accounts)


def set_aside(app: RunningApp, username: str = DENIZ) -> Account:
    """Somebody signs in, is revoked, and a sweep finds out."""
    app.browser().sign_in(username)
    app.tenant.change_person(username, state="revoked")
    app.clock.move(minutes=6)
    app.sweep()
    account = app.account_of(username)
    assert account is not None
    return account


def test_somebody_who_is_set_aside_is_announced_once(
    app: RunningApp, messages: Callable[[], list[dict[str, Any]]]
) -> None:
    """One message that says who, why, since when and what to do; noted on the account; none at later sweeps."""
    account = set_aside(app)
    assert account.state is State.NEEDS_SIGN_IN
    assert account.failure is not None
    assert account.failure.notified_at is not None
    (message,) = messages()
    assert message["account_id"] == account.account_id
    assert message["username"] == DENIZ
    assert message["code"] == "50173"
    assert "revoked" in message["reason"]
    assert message["since"] == account.failure.first_at.isoformat()
    app.clock.move(hours=3)
    app.sweep()
    assert messages() == []


def test_the_link_in_the_message_starts_the_right_sign_in(
    app: RunningApp, messages: Callable[[], list[dict[str, Any]]]
) -> None:
    """It knows who shall come, and asks for the password again; after it the person is active, and nobody is told."""
    set_aside(app)
    (message,) = messages()
    assert message["link"].startswith(app.url + "/signin?")
    browser = app.browser()
    to_tenant = parse_qs(urlsplit(browser.get(message["link"]).headers["Location"]).query)
    assert to_tenant["login_hint"] == [DENIZ]
    assert to_tenant["prompt"] == ["login"]
    browser.sign_in(DENIZ, message["link"])
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}
    assert messages() == []


def test_somebody_refused_in_their_browser_is_announced_unless_they_come_back(
    app: RunningApp, messages: Callable[[], list[dict[str, Any]]]
) -> None:
    """The next sweep tells, if they did not sign in again meanwhile."""
    for username in (DENIZ, "emi@contoso.example"):
        browser = app.browser()
        browser.sign_in(username)
        app.tenant.change_person(username, state="require_mfa")
        assert browser.get("/me").status_code == 401
    browser.sign_in("emi@contoso.example")
    app.clock.move(minutes=61)
    app.sweep()
    assert [message["username"] for message in messages()] == [DENIZ]


def test_the_tenants_claims_travel_sealed_in_the_link(
    app: RunningApp, messages: Callable[[], list[dict[str, Any]]]
) -> None:
    """Whoever follows it is asked for what the tenant wants."""
    app.browser().sign_in(DENIZ)
    claims = '{"access_token":{"capolids":{"essential":true,"values":["c1"]}}}'
    body = {"error": "interaction_required", "error_codes": [50076], "claims": claims}
    app.tenant.add_fault("token", "oauth_error", body=body)
    app.clock.move(minutes=6)
    app.sweep()
    app.tenant.clear_faults()
    (message,) = messages()
    assert "capolids" not in message["link"]
    to_tenant = app.browser().get(message["link"]).headers["Location"]
    assert "capolids" in parse_qs(urlsplit(to_tenant).query)["claims"][0]


def test_the_next_time_they_are_set_aside_is_another_message(
    app: RunningApp, messages: Callable[[], list[dict[str, Any]]]
) -> None:
    """Its id differs: a consumer that drops repeats lets it pass."""
    set_aside(app)
    (first,) = messages()
    set_aside(app)
    (second,) = messages()
    assert first["id"] != second["id"]


def test_after_a_crash_before_it_was_noted_the_same_message_is_sent_again(
    app: RunningApp, messages: Callable[[], list[dict[str, Any]]]
) -> None:
    """Sent, but not written down: the next sweep sends it with the same id, and then no more."""
    services: Services = app.services
    real = services.store
    services.store = cast("AccountStore", Failing(real, writes=1))
    set_aside(app)
    services.store = real
    (first,) = messages()
    app.clock.move(minutes=11)  # the crashed sweep's claim runs out
    app.sweep()
    (again,) = messages()
    assert again == first
    app.clock.move(hours=3)
    app.sweep()
    assert messages() == []


def test_a_queue_that_fails_costs_nobody_their_turn(
    app: RunningApp, environment: dict[str, str], messages: Callable[[], list[dict[str, Any]]]
) -> None:
    """The person is set aside all the same; the message goes out when the queue is back."""
    services: Services = app.services
    working = services.queues
    services.queues = cast("Queues", Refusing())
    account = set_aside(app)
    assert account.state is State.NEEDS_SIGN_IN
    assert account.failure is not None
    assert account.failure.notified_at is None
    services.queues = working
    app.sweep()
    assert [message["username"] for message in messages()] == [DENIZ]


class Refusing:
    """A queue service that is down."""

    def send(self, queue: str, text: str) -> None:
        """Never works."""
        raise StoreUnavailable(f"send {len(text)} characters to {queue}", 503)

    def close(self) -> None:
        """There is nothing to close."""


def test_other_failures_are_announced_to_nobody(app: RunningApp, messages: Callable[[], list[dict[str, Any]]]) -> None:
    """A tenant that fails is not the person's business."""
    app.browser().sign_in(DENIZ)
    app.tenant.add_fault("token", "status", status=503)
    app.clock.move(minutes=6)
    app.sweep()
    assert messages() == []
