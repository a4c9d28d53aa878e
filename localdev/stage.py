"""Where the demo takes place: people use a browser and the desktop client, real time passes, the timer fires, and every
observation is noted."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import requests

from localdev.browser import Browser
from localdev.desktop_user import DesktopUser
from localdev.progress import Progress
from localdev.supervisor import Supervisor
from localdev.tenant import SampleTenant
from shared.accounts import Account, Outcome, State
from shared.services import Services
from shared.store import SweepRecord

PATIENCE_SECONDS = 60.0


class DemoFailed(Exception):
    """Something was not as promised. The message says what."""


@dataclass
class Stage:
    """What runs: the app at `url`, its storage and tenant, one person's desktop, and the people who signed in."""

    url: str
    desktop: DesktopUser
    app: Services
    tenant: SampleTenant
    progress: Progress
    supervisor: Supervisor
    sweeps: list[SweepRecord] = field(default_factory=list)
    left_alone: int = 0
    set_aside: set[str] = field(default_factory=set)
    recovered: set[str] = field(default_factory=set)
    codes: int = 0
    signed_in: set[str] = field(default_factory=set)
    on_desktop: set[str] = field(default_factory=set)

    def sign_in(self, username: str, *, look: bool = True) -> None:
        """Signs in by browser. Unless the person leaves at once, they look at their profile."""
        browser = Browser(self.url)
        try:
            answer = browser.sign_in(username, "/signin?next=/me")
            _expect(answer.status_code == 303, f"{username} could not sign in: {answer.status_code}")
            if look:
                seen = browser.get(answer.headers["Location"])
                _expect(seen.status_code == 200, f"/me of {username}: {seen.status_code}")
            self._came(username, "in a browser" + (" and sees their profile" if look else ""))
            self.codes += 1
        finally:
            browser.close()

    def sign_in_on_desktop(self, username: str) -> None:
        """Signs in by device code, then calls the web API, which exchanges the token on the person's behalf."""
        self.desktop.sign_in(username)
        _expect(self.desktop.run("me")["profile"]["mail"] == username, f"/api/profile of {username}")
        self.on_desktop.add(username)
        self._came(username, "on a desktop by device code and called the API")

    def withdraw(self, username: str) -> None:
        """Withdraws by DELETE /api/profile: the row is gone, and a sweep finds nobody."""
        self.desktop.run("withdraw")
        _expect(username not in self.accounts(), f"{username} withdrew, and their row is still there")
        self.progress.say(f"  {username} withdrew: their row is deleted")

    def _came(self, username: str, how: str) -> None:
        self.signed_in.add(username)
        self.progress.say(f"  {username} signed in {how}")

    def accounts(self) -> dict[str, Account]:
        """All rows, by username."""
        far = self.app.now().replace(year=9000)
        slots = (slot.name for slot in self.app.store.slots())
        rows = (account for name in slots for page in self.app.store.due(name, far) for account in page)
        return {account.username: account for account in rows}

    def wait_until_due(self, usernames: Sequence[str]) -> None:
        """Waits until these people have been away for long enough and are due."""

        def due() -> bool:
            rows = self.accounts()
            return all(rows[name].due_at <= self.app.now() for name in usernames)

        self._wait(due, "people are away")

    def wait_for_expiry(self) -> None:
        """Waits until the app doesn't use the stored access tokens any more. The desktop's token stays valid."""

        def expired() -> bool:
            rows = self.accounts().values()
            times = [account.token_expires_at for account in rows if account.username not in self.on_desktop]
            return all(each is None or (each - self.app.now()).total_seconds() < 59 for each in times)

        self._wait(expired, "access tokens expire")

    def sweep(self) -> None:
        """Fires the timer by `POST /admin/functions/sweep`, as with Core Tools, and waits for the sweep's row."""
        before, known = self.accounts(), len(self.sweeps)
        answer = requests.post(f"{self.url}/admin/functions/sweep", json={"input": ""}, timeout=30)
        _expect(answer.status_code == 202, f"the timer could not be fired: {answer.status_code}")
        self._wait(lambda: len(self.app.store.recent_sweeps(100)) > known, "the sweep ends")
        self.sweeps = self.app.store.recent_sweeps(100)
        after = self.accounts()
        for name, account in after.items():
            self._compare(name, before.get(name), account)
        counts = ", ".join(f"{count} {name}" for name, count in self.sweeps[0].counts.items())
        self.progress.say(f"  sweep: {counts or 'nobody was due'}")

    def _compare(self, name: str, before: Account | None, after: Account) -> None:
        touched = before is None or after.last_swept_at != before.last_swept_at
        present = before is not None and before.state is State.ACTIVE and before.due_at > self.sweeps[0].started_at
        self.left_alone += present and not touched
        if after.state is State.NEEDS_SIGN_IN:
            self.set_aside.add(name)
        elif touched and name in self.set_aside and after.recent[0].outcome is Outcome.FRESH:
            self.recovered.add(name)

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done():
            self.supervisor.check()
            _expect(time.monotonic() < deadline, f"waited {PATIENCE_SECONDS:.0f} s in vain until {what}")
            self.progress.show(f"  waiting until {what} …")
            time.sleep(0.1)


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DemoFailed(otherwise)
