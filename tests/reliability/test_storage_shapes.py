"""Sweeps on a storage that answers as the live service does, and loses answers: everybody's turn, each once."""

from collections.abc import Callable
from typing import Any

import pytest

from localdev.tenant import SampleTenant
from shared.accounts import Account, Outcome
from shared.clients.graph import Graph
from shared.identity.rate_limit import RateLimit
from shared.services import Services
from shared.sweep_queue import due_slots
from tests.reliability.crowd import enrol
from tests.reliability.storage_rows import BATCH, BUSY, CLAIM, LISTS
from tests.running_app import Clock
from tests.service_storage import ServiceShapedStorage
from timer_worker.sweep import Sweep
from timer_worker.task import Task

PEOPLE = ("ada", "ben", "chiara", "deniz", "emi", "farid")
LOST: dict[str, dict[str, Any]] = {
    "committed, answered with 500": {"status": 500, "code": "InternalError", "forward": True},
    "committed, no answer": {"forward": True},
    "committed, an answer without parts": {"status": 202, "content": b"", "forward": True},
    "busy": BUSY,
    "busy, with Retry-After": BUSY | {"retry_after": "0"},
}


@pytest.fixture(params=["reusable", "strict"])
def app(
    request: pytest.FixtureRequest,
    make_services: Callable[..., Services],
    proxy: ServiceShapedStorage,
    sample_tenant: SampleTenant,
) -> Services:
    """The app's parts, with and without strict rotation, and a crowd whose turn has come."""
    clock = Clock()
    sample_tenant.change_settings(rotation="strict" if request.param == "strict" else "reusable")
    made = make_services(
        clock=clock,
        wait=clock.wait,
        tables=proxy.client(),
        rate_limit=RateLimit(clock=lambda: clock().timestamp()),
        REFRESH_TOKEN_ROTATION=request.param,
        TABLES_CONNECTION_STRING=proxy.connection_string,
    )
    enrol(made, sample_tenant, PEOPLE)
    clock.move(minutes=7)
    proxy.clear()
    return made


@pytest.mark.parametrize(
    ("where", "trouble"),
    [
        pytest.param(where, trouble, id=f"{name}: {what}")
        for name, where in (("rows", BATCH), ("lists", LISTS), ("slots", CLAIM))
        for what, trouble in LOST.items()
        if where is not CLAIM or "parts" not in what
    ],
)
def test_a_sweep_whose_every_write_is_answered_badly_once_has_everybody(
    app: Services,
    proxy: ServiceShapedStorage,
    sample_tenant: SampleTenant,
    where: dict[str, Any],
    trouble: dict[str, Any],
) -> None:
    """Each first answer is lost, each repetition is answered: nobody is a conflict, no task is done twice."""
    done: list[str] = []

    def task(account: Account, _: Graph) -> None:
        done.append(account.account_id)
        account.task_state["n"] = 1

    for skip in range(0, 40, 2):
        proxy.add(**where, **trouble, skip=skip, times=1)
    record = Sweep(app, tasks=(Task("task", task, scopes=("User.Read",)),)).run(due_slots(app.store, app.now()))
    assert record
    assert (record.counts, record.stopped) == ({"fresh": len(PEOPLE)}, "")
    assert len(done) == len(set(done)) == len(PEOPLE)
    proxy.clear()
    found = [app.store.get(each) for each in done]
    assert {each.recent[0].outcome for each in found if each} == {Outcome.FRESH}
    assert [each.task_state for each in found if each] == [{"task": {"n": 1}}] * len(PEOPLE)
    assert sample_tenant.log()["families_revoked"] == 0
