"""The example task: one digest on weekdays at 7:00 in the person's time zone."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from localdev.tenant import SampleTenant
from shared.accounts import Account, Choice
from shared.services import Services
from shared.sweep_queue import due_slots
from tasks.morning_digest import morning_digest
from tests.running_app import Clock
from tests.support import ROOT, MakeServices, sign_in, stored
from timer_worker.sweep import Sweep

ADA = "ada@contoso.example"
TOKYO = ZoneInfo("Asia/Tokyo")


def turn_on(app: Services, account: Account) -> Account:
    """The person turns it on, and lives in Tokyo."""
    there = replace(stored(app, account), time_zone="Asia/Tokyo")
    return app.store.wake(app.planner.choose(there, morning_digest, Choice.ON, app.now()))


def move_to_the_next_run(app: Services, clock: Clock, account: Account) -> datetime:
    """Moves the clock. Returns the local time for which the run is meant."""
    status = stored(app, account).tasks["morning_digest"]
    assert status.next_at is not None
    assert status.occurrence is not None
    clock.ahead += status.next_at - clock()
    return status.occurrence.astimezone(TOKYO)


def test_a_week_has_five_digests_of_one_mail_each(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """They are sent on weekdays at 7:00 in Tokyo, and name what is unread."""
    clock = Clock()
    scopes = "User.Read Mail.Read Calendars.Read Mail.Send"
    app = make_services(clock=clock, wait=clock.wait, tasks=(morning_digest,), SCOPES=scopes)
    ada = turn_on(app, sign_in(app))
    sample_tenant.data.deliver_mail(ADA, subject="Read me")
    meant = []
    for count in range(1, 6):
        meant.append(move_to_the_next_run(app, clock, ada))
        for _ in range(2):
            Sweep(app).run(due_slots(app.store, clock()))
        assert sample_tenant.log()["mails_sent"] == count
    assert {each.weekday() for each in meant} == {0, 1, 2, 3, 4}
    assert {(each.hour, each.minute) for each in meant} == {(7, 0)}
    status = stored(app, ada).tasks["morning_digest"]
    assert status.failure is None
    assert status.last_record.startswith("Mailed you a digest")


def test_the_example_is_short() -> None:
    """Under 60 lines."""
    assert len((ROOT / "tasks" / "morning_digest.py").read_text("utf-8").splitlines()) < 60
