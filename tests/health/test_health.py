"""GET /healthz and /readyz: alive without asking anybody, ready only when everything answers and sweeps happen."""

import json
import time
from collections.abc import Callable

from localdev.azurite import Azurite
from localdev.host import IndexedFunction
from localdev.tenant import SampleTenant
from shared.monitoring.readiness import Readiness
from tests.reliability.storage_proxy import StorageProxy
from tests.running_app import RunningApp

StartApp = Callable[..., RunningApp]


def checks(app: RunningApp) -> tuple[int, dict[str, bool], dict[str, str]]:
    """The status of /readyz, whether each check is well, and the details."""
    answer = app.browser(Accept="application/json").get("/readyz")
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


def test_readyz_needs_a_function_key_and_healthz_none(functions: tuple[IndexedFunction, ...]) -> None:
    """Keys are not enforced locally: the level is read from the metadata that the host gets."""
    levels = {
        each.name: each.trigger.properties["authLevel"] for each in functions if each.name in ("healthz", "readyz")
    }
    assert {name: str(level).lower() for name, level in levels.items()} == {
        "healthz": "anonymous",
        "readyz": "function",
    }


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
    assert well == {"authority": True, "heartbeat": False, "storage": True}
    assert details["heartbeat"] == "no sweep for 16 minutes"
    app.sweep()
    assert checks(app)[0] == 200


def test_ready_while_sweeps_come_by_though_somebody_stays_overdue(app: RunningApp) -> None:
    """A misconfigured app leaves people due. The heartbeat is well, and says what stopped the sweep."""
    app.browser().sign_in("ada@contoso.example")
    app.tenant.change_app(app.tenant.client_id, secret_state="expired")
    app.clock.move(minutes=30)
    app.sweep()
    status, _, details = checks(app)
    assert (status, details["heartbeat"]) == (200, "misconfigured 7000222")


def test_not_ready_when_the_storage_refuses(start_app: StartApp, azurite: Azurite) -> None:
    """The heartbeat is unknown then."""
    with StorageProxy(azurite.connection_string) as road:
        app = start_app(TABLES_CONNECTION_STRING=road.connection_string)
        road.add(status=403, code="AuthorizationFailure")
        status, well, details = checks(app)
    assert status == 503
    assert well == {"authority": True, "heartbeat": False, "storage": False}
    assert "403" in details["storage"]
    assert details["heartbeat"] == "unknown"


def test_not_ready_when_the_authority_fails(app: RunningApp, sample_tenant: SampleTenant) -> None:
    """Each check asks discovery again."""
    app.browser().sign_in("ada@contoso.example")
    sample_tenant.add_fault("discovery", "status", status=503)
    status, well, details = checks(app)
    assert status == 503
    assert well == {"authority": False, "heartbeat": True, "storage": True}
    assert details["authority"] == "http_503"


def test_a_service_that_hangs_is_not_waited_for(app: RunningApp, sample_tenant: SampleTenant) -> None:
    """Requests at the same time share one check, so that no threads pile up."""
    parts = app.services
    parts.readiness = Readiness(
        parts.settings, parts.store, parts.http, parts.identity.discovery_url, now=app.clock, seconds=0.3
    )
    sample_tenant.add_fault("discovery", "hang")
    began = time.monotonic()
    for _ in range(3):
        status, well, _ = checks(app)
        assert (status, well["authority"], well["storage"]) == (503, False, True)
    assert time.monotonic() - began < 10
    assert sample_tenant.open_requests() <= 1
    sample_tenant.clear_faults()


def test_readyz_tells_no_secret_and_no_address(app: RunningApp) -> None:
    """Many people can read a monitor's logs."""
    app.browser().sign_in("ada@contoso.example")
    text = json.dumps(app.browser().get("/readyz").json())
    assert not [secret for secret in app.tenant.issued_secrets() if secret in text]
    assert "http://" not in text
    assert "https://" not in text
