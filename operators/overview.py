"""Reads what the operators' page shows from the store."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from shared.accounts import State
from shared.errors import BadRequest
from shared.monitoring.census import Counted
from shared.monitoring.heartbeat import PATIENCE, Heartbeat, heartbeat
from shared.monitoring.timer_schedule import longest_gap
from shared.services import Services
from shared.store import AccountPage, AccountSummary, SweepRecord
from shared.web.requests import text_of

OVERDUE, ODD = "overdue", "odd"
SWEEPS = 50
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Choice:
    """Which accounts to list.

    Attributes:
        show: a state, `overdue`, `odd` (rows that can't be read), or "" for everything.
        search: the beginning of a username, or "".
        cursor: where the list goes on (AccountPage.cursor); "" is its beginning.
        most: about how many accounts a page has.
    """

    show: str = ""
    search: str = ""
    cursor: str = ""
    most: int = 25

    @classmethod
    def of(cls, query: Mapping[str, str], *, most: int) -> "Choice":
        """Reads a query or a form; `most` is for one without `top`. Raises BadRequest."""
        show = text_of(query, "show", longest=20)
        if show and show not in (OVERDUE, ODD, *State):
            raise BadRequest(f"show must be {', '.join((OVERDUE, ODD, *State))}, or nothing.")
        top = text_of(query, "top", longest=4) or str(most)
        if not top.isdecimal() or not 1 <= int(top) <= _MOST:
            raise BadRequest(f"top must be a number from 1 to {_MOST}.")
        search = text_of(query, "search", longest=120).strip()
        return cls(show, search, text_of(query, "cursor", longest=4000), int(top))

    def path(self, page: str = "/accounts", **changes: str) -> str:
        """The address of this list on `page`, with further parameters in `changes`."""
        values = {"show": self.show, "search": self.search} | changes
        given = {name: value for name, value in values.items() if value}
        return f"{page}?{urlencode(given)}" if given else page


@dataclass(frozen=True, slots=True)
class Overview:
    """The page's content.

    Attributes:
        counted: None while the first count is under way.
        sweeps: newest first.
        tick: the longest time between two runs of the timer.
        overdue_before: an account that was due before this is overdue.
    """

    choice: Choice
    page: AccountPage
    counted: Counted | None
    sweeps: list[SweepRecord]
    heartbeat: Heartbeat
    tick: timedelta
    now: datetime
    overdue_before: datetime

    def is_overdue(self, account: AccountSummary) -> bool:
        """Should a sweep have reached this account by now?"""
        return account.due_at < self.overdue_before


def list_accounts(choice: Choice, app: Services) -> AccountPage:
    """Reads one page of the list. Raises BadRequest, StoreUnavailable."""
    state = State(choice.show) if choice.show not in ("", OVERDUE, ODD) else None
    try:
        return app.store.list_accounts(
            state=state,
            username=choice.search,
            due_before=overdue_before(app) if choice.show == OVERDUE else None,
            odd=choice.show == ODD,
            cursor=choice.cursor,
            most=choice.most,
        )
    except ValueError as error:
        raise BadRequest("There is no such page. Start from the first page.") from error


def load_overview(choice: Choice, app: Services) -> Overview:
    """Reads the whole page's content. Raises BadRequest, StoreUnavailable."""
    now, limit = app.now(), overdue_before(app)
    tick, sweeps = longest_gap(app.settings.sweep_schedule), app.store.recent_sweeps(SWEEPS)
    return Overview(
        choice=choice,
        page=list_accounts(choice, app),
        counted=app.census.latest(now, limit),
        sweeps=sweeps,
        heartbeat=heartbeat(app.store.slots(), sweeps, now, tick),
        tick=tick,
        now=now,
        overdue_before=limit,
    )


def overdue_before(app: Services) -> datetime:
    """An account that was due before this time is overdue: several ticks have passed since."""
    return app.now() - PATIENCE * longest_gap(app.settings.sweep_schedule)
