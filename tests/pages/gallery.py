"""Every page of the app, and how a person gets there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from shared.accounts import Account, Attempt, Failure, Outcome, State
from shared.store import SweepRecord
from tests.failing_store import failing_store
from tests.pages.person import Person
from tests.running_app import RunningApp

ADA, BEN, DENIZ, EMI = (f"{name}@contoso.example" for name in ("ada", "ben", "deniz", "emi"))
OPERATOR = {"ADMIN_ROLE": "Understudy.Operator"}
Visit = Callable[[RunningApp, Person], None]


@dataclass(frozen=True)
class Exhibit:
    """One page in one state.

    Attributes:
        visit: brings the person there.
        settings: of the app.
    """

    visit: Visit
    settings: Mapping[str, str] = field(default_factory=dict)


def _welcome(app: RunningApp, person: Person) -> None:
    person.go("/")


def _home(app: RunningApp, person: Person) -> None:
    person.sign_in(BEN)
    app.clock.move(minutes=6)
    app.sweep()
    for outcome in (Outcome.FRESH, Outcome.UNAVAILABLE, Outcome.TASK_FAILED, *[Outcome.FRESH] * 6):
        _remember(app, BEN, outcome)
    app.clock.move(minutes=20)
    person.go("/")


def _needs_sign_in(app: RunningApp, person: Person) -> None:
    person.sign_in(DENIZ)
    app.tenant.change_person(DENIZ, state="revoked")
    app.clock.move(minutes=6)
    app.sweep()
    person.go("/")


def _unreadable(app: RunningApp, person: Person) -> None:
    person.sign_in(EMI)
    account = _account(app, EMI)
    app.services.store.save(_with(account, sealed_cache=b"of another key"))
    app.clock.move(minutes=6)
    app.sweep()
    person.go("/")


def _profile(app: RunningApp, person: Person) -> None:
    person.sign_in(BEN)
    person.go("/me")


def _accounts(app: RunningApp, person: Person) -> None:
    person.sign_in(ADA)
    populate(app)
    person.go("/accounts")


def _accounts_without_anybody(app: RunningApp, person: Person) -> None:
    person.sign_in(ADA)
    person.go("/accounts?search=nobody")


def _accounts_without_a_heartbeat(app: RunningApp, person: Person) -> None:
    person.sign_in(ADA)
    app.clock.move(minutes=50)
    person.go("/accounts?show=overdue")


def _declined(app: RunningApp, person: Person) -> None:
    person.begin_sign_in()
    person.page.get_by_role("button", name=BEN).click()
    person.page.get_by_role("button", name="Cancel").click()
    person.page.get_by_text("If you ask for help").wait_for()


def _needs_administrator(app: RunningApp, person: Person) -> None:
    person.begin_sign_in()
    text = "AADSTS90094: The grant requires admin permission. Correlation ID: 4ad1c1f3-6f5e-4a8b-8b39-1c5b1f0d2a11"
    person.come_back_with(error="access_denied", error_description=text)


def _foreign_tenant(app: RunningApp, person: Person) -> None:
    person.begin_sign_in()
    person.page.get_by_role("button", name=BEN).click()
    person.page.get_by_role("button", name="Accept").click()
    person.page.get_by_text("If you ask for help").wait_for()


def _no_cookie(app: RunningApp, person: Person) -> None:
    person.begin_sign_in()
    person.context.clear_cookies()
    person.come_back_with(code="a-code")


def _expired(app: RunningApp, person: Person) -> None:
    person.begin_sign_in()
    person.come_back_with(error="invalid_grant", error_description="AADSTS70008: The code has expired.")


def _unreachable(app: RunningApp, person: Person) -> None:
    person.begin_sign_in()
    app.tenant.add_fault("token", "status", status=503)
    person.come_back_with(code="a-code")


def _not_signed_in(app: RunningApp, person: Person) -> None:
    person.go("/me")


def _not_an_operator(app: RunningApp, person: Person) -> None:
    person.sign_in(BEN)
    person.go("/accounts")


def _sign_out_unfinished(app: RunningApp, person: Person) -> None:
    person.sign_in(BEN)
    app.services.store = failing_store(app.services.store, ["delete"])
    person.page.get_by_role("button", name="Sign out", exact=True).click()
    person.page.get_by_role("button", name="Try again").wait_for()


PAGES: Mapping[str, Exhibit] = {
    "welcome": Exhibit(_welcome, {"SCOPES": "User.Read Calendars.Read api://sample/Odd.Scope"}),
    "home": Exhibit(_home),
    "home-needs-sign-in": Exhibit(_needs_sign_in),
    "home-unreadable": Exhibit(_unreadable),
    "profile": Exhibit(_profile),
    "accounts": Exhibit(_accounts, OPERATOR),
    "accounts-nobody": Exhibit(_accounts_without_anybody, OPERATOR),
    "accounts-no-heartbeat": Exhibit(_accounts_without_a_heartbeat, OPERATOR),
    "problem-declined": Exhibit(_declined),
    "problem-administrator": Exhibit(_needs_administrator),
    "problem-foreign-tenant": Exhibit(_foreign_tenant, {"ALLOWED_TENANTS": "00000000-0000-0000-0000-000000000001"}),
    "problem-no-cookie": Exhibit(_no_cookie),
    "problem-expired": Exhibit(_expired),
    "problem-unreachable": Exhibit(_unreachable),
    "problem-not-signed-in": Exhibit(_not_signed_in),
    "problem-not-an-operator": Exhibit(_not_an_operator, OPERATOR),
    "problem-sign-out": Exhibit(_sign_out_unfinished),
}


def populate(app: RunningApp, people: int = 60) -> None:
    """Many people in every state, and fifty sweeps: what an operator sees after some time."""
    now = app.clock()
    codes = ("50173", "50076", "65001", "53003", "700082")
    for number in range(people):
        state = State.NEEDS_SIGN_IN if number % 6 == 1 else State.UNREADABLE if number % 15 == 2 else State.ACTIVE
        code = codes[number % len(codes)] if state is State.NEEDS_SIGN_IN else "unknown_key"
        since = now - timedelta(hours=3 * number + 1)
        failure = Failure(code, since, since, correlation_id="4ad1c1f3-6f5e-4a8b-8b39-1c5b1f0d2a11", notified_at=since)
        due = now + (timedelta(days=80) if state is State.NEEDS_SIGN_IN else timedelta(minutes=number % 59 + 1))
        app.services.store.save(
            Account(
                account_id=f"{number:08x}-6f5e-4a8b-8b39-1c5b1f0d2a11.{app.tenant.tenant_id}",
                username=f"{_NAMES[number % len(_NAMES)]}.{number:02}@contoso.example",
                tenant_id=app.tenant.tenant_id,
                state=state,
                due_at=due if number % 29 else now - timedelta(hours=2),
                last_activity=now - timedelta(days=number),
                last_swept_at=now - timedelta(minutes=number % 60),
                failure=None if state is State.ACTIVE else failure,
                sealed_cache=b"x",
            )
        )
    for number in range(50):
        app.services.store.record_sweep(_sweep(app, number))
    for slot in app.services.store.slots():
        app.services.store.write_slot(replace(slot, next_due_at=now + timedelta(minutes=5)))


def _sweep(app: RunningApp, number: int) -> SweepRecord:
    people = 900 + (number * 37) % 400
    hard = number in (17, 18)
    counts = {"fresh": people // (4 if hard else 1), "cached": 40 + number, "sign_in_required": number % 4}
    counts |= {"unavailable": people * 3 // 4, "throttled": 90} if hard else {"task_failed": number % 3}
    return SweepRecord(
        started_at=app.clock() - timedelta(minutes=5 * (50 - number)),
        seconds=people / (40 if hard else 110),
        slots=16,
        counts={name: count for name, count in counts.items() if count},
        stopped="throttled" if number == 18 else "",
    )


_NAMES = (
    "amara",
    "bruno",
    "carla",
    "dmitri",
    "elif",
    "finn",
    "gulsen",
    "hana",
    "ivan",
    "joao",
    "kofi",
    "lena",
    "mateo",
)


def _account(app: RunningApp, username: str) -> Account:
    account = app.account_of(username)
    assert account is not None
    return account


def _with(account: Account, **changes: object) -> Account:
    values = {name: getattr(account, name) for name in Account.__dataclass_fields__} | changes
    return Account(**values)


def _remember(app: RunningApp, username: str, outcome: Outcome) -> None:
    """Adds a turn of one hour ago, before all others in the history."""
    account = _account(app, username)
    oldest = account.recent[-1].at - timedelta(hours=1)
    app.services.store.save(_with(account, recent=(*account.recent, Attempt(oldest, outcome))))
