"""GET /healthz and /readyz: alive without asking anybody, ready only when everything answers and sweeps happen."""

import json
import logging
import time
from collections.abc import Callable

import pytest
import requests

from localdev.azurite import Azurite
from localdev.tenant import SampleTenant
from shared.monitoring.readiness import Readiness
from tests.reliability.storage_proxy import StorageProxy
from tests.running_app import RunningApp

StartApp = Callable[..., RunningApp]


def asked(app: RunningApp) -> requests.Response:
    """What a monitor with a key gets."""
    return app.browser(Accept="application/json").get("/readyz", **{"x-functions-key": app.host.key})


def checks(app: RunningApp) -> tuple[int, dict[str, bool], dict[str, str]]:
    """The status of /readyz, whether each check is well, and the details."""
    answer = asked(app)
    found = answer.json()["checks"]
    assert answer.json()["ready"] is (answer.status_code == 200)
    return (
        answer.status_code,
        {name: each["ok"] for name, each in found.items()},
        {name: each["detail"] for name, each in found.items()},
    )


def test_healthz_asks_nobody(start_app: StartApp) -> None:
    """/healthz answers without settings, storage or tenant."""
    app = start_app(CLIENT_ID="", AzureWebJobsStorage="")
    answer = app.browser().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readyz_needs_a_function_key_and_healthz_none(app: RunningApp) -> None:
    """The host asks for it before the app is called."""
    assert [app.browser().get(path).status_code for path in ("/healthz", "/readyz")] == [200, 401]


def test_ready_when_everything_answers(app: RunningApp) -> None:
    """It is ready before the first sweep and after it."""
    status, well, details = checks(app)
    assert (status, set(well.values()), details["heartbeat"]) == (200, {True}, "waiting")
    app.sweep()
    status, well, details = checks(app)
    assert (status, set(well.values()), details["heartbeat"]) == (200, {True}, "beating")


def test_not_ready_when_no_sweep_came_for_three_schedules(app: RunningApp) -> None:
    """People are due six minutes after their last request and the timer ticks every five; fifteen minutes may pass."""
    app.browser().sign_in("ada@contoso.example")
    app.clock.move(minutes=6 + 14)
    assert checks(app)[0] == 200
    app.clock.move(minutes=2)
    status, well, details = checks(app)
    assert status == 503
    assert well == {"authority": True, "heartbeat": False, "operators": True, "storage": True, "threads": True}
    assert details["heartbeat"] == "nobody reached for 16 minutes"
    app.sweep()
    assert checks(app)[0] == 200


def test_not_ready_while_sweeps_reach_nobody(app: RunningApp) -> None:
    """A misconfigured app leaves people due, however often it sweeps. The heartbeat says what stops it."""
    app.browser().sign_in("ada@contoso.example")
    app.tenant.change_app(app.tenant.client_id, secret_state="expired")
    app.clock.move(minutes=30)
    app.sweep()
    status, _, details = checks(app)
    assert (status, details["heartbeat"]) == (503, "misconfigured 7000222")
    app.tenant.change_app(app.tenant.client_id, secret_state="valid")
    app.sweep()
    assert checks(app)[0] == 200


def test_not_ready_when_the_storage_refuses(start_app: StartApp, azurite: Azurite) -> None:
    """The heartbeat is unknown then."""
    with StorageProxy(azurite.connection_string) as road:
        app = start_app(TABLES_CONNECTION_STRING=road.connection_string)
        road.add(status=403, code="AuthorizationFailure")
        status, well, details = checks(app)
    assert status == 503
    assert well == {"authority": True, "heartbeat": False, "operators": True, "storage": False, "threads": True}
    assert "403" in details["storage"]
    assert details["heartbeat"] == "unknown"


def test_not_ready_when_the_authority_fails(app: RunningApp, sample_tenant: SampleTenant) -> None:
    """Each check asks discovery again."""
    app.browser().sign_in("ada@contoso.example")
    sample_tenant.add_fault("discovery", "status", status=503)
    status, well, details = checks(app)
    assert status == 503
    assert well == {"authority": False, "heartbeat": True, "operators": True, "storage": True, "threads": True}
    assert details["authority"] == "http_503"


def test_a_service_that_hangs_is_not_waited_for(app: RunningApp, sample_tenant: SampleTenant) -> None:
    """Requests at the same time share one check, so that no threads pile up."""
    parts = app.services
    parts.readiness = Readiness(
        parts.settings, parts.store, parts.http, parts.identity.authority.discovery_url, now=app.clock, seconds=0.3
    )
    sample_tenant.add_fault("discovery", "hang")
    began = time.monotonic()
    for _ in range(3):
        status, well, _ = checks(app)
        assert (status, well["authority"], well["storage"]) == (503, False, True)
    assert time.monotonic() - began < 10
    assert sample_tenant.open_requests() <= 1
    sample_tenant.clear_faults()


@pytest.mark.parametrize(("threads", "named"), [("5", True), ("6", True), ("few", True), ("7", False), ("", False)])
def test_threads_that_queue_messages_can_use_up_are_named(
    start_app: StartApp, caplog: pytest.LogCaptureFixture, threads: str, named: bool
) -> None:
    """host.json lets a queue function have 4 + 2 messages at a time. /readyz and the log say so; the app stays ready,
    because nothing is wrong where HTTP and queues scale apart."""
    with caplog.at_level(logging.WARNING):
        status, well, details = checks(start_app(PYTHON_THREADPOOL_THREAD_COUNT=threads))
    expected = f"PYTHON_THREADPOOL_THREAD_COUNT={threads}: 6 queue messages can take all threads; leave it unset"
    assert (status, well["threads"], details["threads"]) == (200, True, expected if named else "")
    assert (expected in caplog.messages) is named


def test_readyz_tells_no_secret_and_no_address(app: RunningApp) -> None:
    """Many people can read a monitor's logs."""
    app.browser().sign_in("ada@contoso.example")
    text = json.dumps(asked(app).json())
    assert not [secret for secret in app.tenant.issued_secrets() if secret in text]
    assert "http://" not in text
    assert "https://" not in text
