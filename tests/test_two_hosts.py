"""Two host processes on one storage account: they share the work, and one that is killed loses nobody."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from azure.storage.queue import QueueServiceClient

from localdev import ports
from localdev.lifeline import Child
from localdev.tenant import SampleTenant
from shared.accounts import Account, State
from shared.services import Services
from shared.sweep_queue import due_slots
from tests.running_app import Clock
from tests.support import ROOT, Environment, sign_in, wait_until
from timer_worker.sweep import Sweep

PEOPLE = 48
PATIENCE = 60.0


class Host:
    """The app under `python -m localdev.host`, as a process of its own; its output in a file."""

    def __init__(self, settings: Environment, log: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := ports.free(1)[0])}"
        self._log = log
        self._output = log.open("wb")
        self.child = Child(
            ["localdev.host", "--app", str(ROOT), "--port", str(port), "--settings", str(log.parent / "none.json")],
            folder=ROOT,
            environment={**os.environ, **settings, "NO_PROXY": "localhost,127.0.0.1", "PYTHONUNBUFFERED": "1"},
            output=self._output,
        )

    def is_ready(self) -> bool:
        """Does it answer?"""
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(self.url, timeout=5).ok
        return False

    def fire(self) -> None:
        """The timer, now."""
        assert requests.post(f"{self.url}/admin/functions/sweep", json={"input": ""}, timeout=30).status_code == 202

    def said(self) -> str:
        """Its log."""
        return self._log.read_text("utf-8", errors="replace")

    def kill(self) -> None:
        """SIGKILL: no farewell."""
        self.child.process.kill()
        self.child.process.wait()

    def stop(self) -> None:
        """Ends it in order."""
        self.child.stop()
        self._output.close()


@pytest.fixture
def scene(
    make_services: Callable[..., Services],
    environment: Environment,
    queues: QueueServiceClient,
    sample_tenant: SampleTenant,
    tmp_path: Path,
) -> Iterator[tuple[list[Host], Services, Clock]]:
    """Two hosts, and people who have been away for long enough."""
    settings = environment | {
        "SWEEP_FANOUT": "queue",
        "SWEEP_CONCURRENCY": "2",
        "SWEEP_SCHEDULE": "0 0 0 1 1 *",
        "ABSENT_AFTER": "1s",
    }
    clock = Clock()
    app = make_services(clock=clock, **settings)
    for number in range(PEOPLE):
        sample_tenant.add_person(f"person{number}@contoso.example", f"Person Number{number}")
        sign_in(app, f"person{number}@contoso.example")
    sample_tenant.change_settings(latency=0.2)
    hosts = [Host(settings, tmp_path / f"host{number}.log") for number in range(2)]
    try:
        wait_until(lambda: all(host.is_ready() for host in hosts), "both hosts answer", PATIENCE)
        wait_until(lambda: all(each.due_at <= clock() for each in everybody(app)), "people are away", PATIENCE)
        yield hosts, app, clock
    finally:
        for host in hosts:
            host.stop()


def everybody(app: Services) -> list[Account]:
    """All rows."""
    far = app.now().replace(year=9000)
    return [account for slot in app.store.slots() for page in app.store.due(slot.name, far) for account in page]


def unswept(app: Services) -> int:
    """How many have had no turn yet."""
    return sum(account.last_swept_at is None for account in everybody(app))


def test_two_hosts_share_the_work_and_redeem_once_each(
    scene: tuple[list[Host], Services, Clock], sample_tenant: SampleTenant
) -> None:
    """Both take messages; nobody's token is redeemed twice."""
    hosts, app, _ = scene
    hosts[0].fire()
    wait_until(lambda: unswept(app) == 0, "everybody was swept", PATIENCE)
    log = sample_tenant.log()
    assert log["refresh_tokens_redeemed"] == PEOPLE
    assert all("Executed 'Functions.sweep_slot' (Succeeded" in host.said() for host in hosts)


def test_a_host_killed_in_mid_sweep_loses_nobody(scene: tuple[list[Host], Services, Clock]) -> None:
    """Nor a second that is killed after it: when the claims have run out, the next sweep finds whom they left."""
    hosts, app, clock = scene
    hosts[0].fire()
    wait_until(lambda: unswept(app) <= PEOPLE - 4, "some were swept", PATIENCE)
    hosts[0].kill()
    wait_until(lambda: hosts[1].said().count("Executed 'Functions.sweep_slot'") >= 3, "the other one goes on", PATIENCE)
    hosts[1].kill()
    assert unswept(app) > 0
    clock.move(minutes=11)
    Sweep(app, tasks=()).run(due_slots(app.store, clock()))
    accounts = everybody(app)
    assert len(accounts) == PEOPLE
    assert {account.state for account in accounts} == {State.ACTIVE}
    assert unswept(app) == 0
