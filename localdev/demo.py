"""`dev.py demo`: the main job without hands, on real parts: people sign in, go away, the sweep acts for them, one is
revoked, comes back; one came by the desktop client and withdraws.

Everything is what a user would meet: the app is served by the local host in a process of its own, people come with
cookies and redirects, Azurite keeps the rows, the sample tenant keeps its own log. No row is edited; time passes by
itself.
"""

import argparse
import io
import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from localdev.azurite import Azurite, AzuriteError
from localdev.browser import Browser
from localdev.desktop_user import CommandFailedError, DesktopUser
from localdev.progress import Progress
from localdev.supervisor import ChildEndedError, Supervisor
from localdev.tenant import SampleTenant
from shared.accounts import Account, Outcome, State
from shared.sealing import new_key
from shared.services import Services
from shared.settings import documented, load
from shared.store import SweepRecord

PROJECT = Path(__file__).resolve().parents[1]
_NO_FILE = PROJECT / ".local" / "none.json"  # the demo's settings come by environment only
PEOPLE = ("ben", "chiara", "deniz", "emi")
GUEST = "greta@fabrikam.example"
ON_DESKTOP = "farid@contoso.example"
PRESENT = "ada@contoso.example"
REVOKED = "deniz@contoso.example"
# MSAL counts an access token with less than 300 s left as expired: these are good for fifteen, and for none.
_CACHED_FOR, _EXPIRED_AT_ONCE = 315, 300
_ABSENT_AFTER, _SWEEP_EVERY = 2, 3
_PATIENCE = 60.0


class DemoFailed(Exception):
    """Something was not as promised; the message says what."""


@dataclass
class Stage:
    """What runs: the app at `url`, its storage and tenant, somebody's desktop, and who has come."""

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

    def sign_in(self, username: str, *, look: bool = True) -> None:
        """As a browser would; then, unless they leave at once, a look at their profile."""
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
        """By device code; then a call of the web API, which exchanges the token on their behalf."""
        self.desktop.sign_in(username)
        _expect(self.desktop.run("me")["profile"]["mail"] == username, f"/api/profile of {username}")
        self._came(username, "on a desktop by device code and called the API")

    def withdraw(self, username: str) -> None:
        """DELETE /api/profile: the row is gone, and a sweep finds nobody."""
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
        """Until they have been away for long enough, and their turn has come."""

        def due() -> bool:
            rows = self.accounts()
            return all(rows[name].due_at <= self.app.now() for name in usernames)

        self._wait(due, "people are away")

    def wait_for_expiry(self) -> None:
        """Until MSAL counts the stored access tokens as expired; the one of the desktop lasts."""

        def expired() -> bool:
            rows = self.accounts().values()
            times = [account.token_expires_at for account in rows if account.username != ON_DESKTOP]
            return all(each is None or (each - self.app.now()).total_seconds() < 299 for each in times)

        self._wait(expired, "access tokens expire")

    def sweep(self) -> None:
        """Fires the timer, as `POST /admin/functions/sweep` does under Core Tools too, and waits for the sweep's
        row."""
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
        deadline = time.monotonic() + _PATIENCE
        while not done():
            self.supervisor.check()
            _expect(time.monotonic() < deadline, f"waited {_PATIENCE:.0f} s in vain until {what}")
            self.progress.show(f"  waiting until {what} …")
            time.sleep(0.1)


def play(stage: Stage) -> None:
    """The story."""
    people = [*(f"{name}@contoso.example" for name in PEOPLE), GUEST]
    stage.tenant.change_settings(device_interval=1)
    stage.progress.say(f"{len(people) + 2} people sign in, one of them a guest, one on a desktop")
    stage.sign_in_on_desktop(ON_DESKTOP)
    stage.tenant.change_settings(access_token_lifetime=_CACHED_FOR)
    for username in people:
        stage.sign_in(username)
    people.append(ON_DESKTOP)
    stage.wait_until_due(people)
    stage.sign_in(PRESENT)
    stage.progress.say("Six are away, Ada is here: the timer fires")
    stage.sweep()
    stage.tenant.change_person(REVOKED, state="revoked")
    stage.tenant.change_settings(access_token_lifetime=_EXPIRED_AT_ONCE)
    stage.progress.say("Deniz's sign-in is revoked; the access tokens expire")
    stage.wait_for_expiry()
    stage.wait_until_due([*people, PRESENT])
    stage.sweep()
    stage.progress.say("Deniz comes back")
    stage.sign_in(REVOKED, look=False)  # a page would renew the expired token before the sweep can
    stage.wait_until_due([*people, PRESENT])
    stage.sweep()
    stage.withdraw(ON_DESKTOP)


def report(stage: Stage, seconds: float) -> dict[str, Any]:
    """The demo's figures. `ok` says whether the app's rows and the tenant's own log agree."""
    counts = Counter[str]()
    for record in stage.sweeps:
        counts.update(record.counts)
    log = {name: stage.tenant.log()[name] for name in ("codes_redeemed", "refresh_tokens_redeemed", "refused")}
    agreed = {
        "codes_redeemed": stage.codes,
        "refresh_tokens_redeemed": counts["fresh"],
        "refused": counts["sign_in_required"],
    }
    left = stage.signed_in - {ON_DESKTOP}
    story = stage.recovered == {REVOKED} and counts["sign_in_required"] == 1 and stage.left_alone >= 1
    return {
        "ok": bool(log == agreed and story and set(stage.accounts()) == left),
        "people": len(stage.signed_in),
        "fresh": counts["fresh"],
        "cached": counts["cached"],
        "sign_in_required": counts["sign_in_required"],
        "recovered": len(stage.recovered),
        "left_alone": stage.left_alone,
        "seconds": round(seconds, 1),
        "tenant_log": log,
    }


def run(progress: Progress, host_output: io.StringIO) -> dict[str, Any]:
    """Starts everything, plays, ends everything. Raises DemoFailed, AzuriteError, ChildEndedError, OSError."""
    began = time.monotonic()
    supervisor = Supervisor(PROJECT, host_output)
    progress.say("Starting Azurite, the sample tenant and the app")
    with Azurite() as azurite, SampleTenant(keep_secrets=False) as tenant, TemporaryDirectory() as folder:
        port = _free_port()
        url = f"http://localhost:{port}"
        settings = _settings(url, tenant, azurite)
        app = Services(load(settings))
        try:
            command = ["localdev.host", "--app", str(PROJECT), "--port", str(port), "--settings", str(_NO_FILE)]
            supervisor.start("app", command, _without_ours(os.environ) | settings)
            desktop = DesktopUser(tenant, Path(folder), url)
            stage = Stage(url, desktop, app, tenant, progress, supervisor)
            _wait_for(url, supervisor)
            play(stage)
            return report(stage, time.monotonic() - began)
        finally:
            supervisor.stop()
            app.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """0: everything was as promised. 1: it wasn't, and the app's own output is shown. 2: it could not start."""
    parser = argparse.ArgumentParser(prog="dev.py demo", description="The main job, start to end, without hands.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    host_output = io.StringIO()
    try:
        result = run(Progress(sys.stderr), host_output)
    except (DemoFailed, ChildEndedError, CommandFailedError) as error:
        print(f"{host_output.getvalue()}\ndemo: {error}", file=sys.stderr)
        result = {"ok": False, "error": str(error)}
    except (AzuriteError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result) if options.json else _table(result))
    return 0 if result["ok"] else 1


def _settings(url: str, tenant: SampleTenant, azurite: Azurite) -> dict[str, str]:
    return {
        **tenant.settings(url),
        "AzureWebJobsStorage": azurite.connection_string,
        "AzureWebJobsDisableHomepage": "true",
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "BASE_URL": url,
        "ENCRYPTION_KEYS": new_key("demo"),
        "SWEEP_SCHEDULE": "0 0 0 1 1 *",  # fired by hand
        "SWEEP_EVERY": f"{_SWEEP_EVERY}s",
        "ABSENT_AFTER": f"{_ABSENT_AFTER}s",
    }


def _without_ours(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of this app that somebody may have set for themselves."""
    return {name: "" for name, _, _ in documented() if name in environ}


def _wait_for(url: str, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        supervisor.check()
        try:
            requests.get(url, timeout=5, headers={"Accept": "text/html"})
        except requests.ConnectionError as error:
            if time.monotonic() > deadline:
                raise DemoFailed("the app did not answer") from error
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DemoFailed(otherwise)


def _table(result: Mapping[str, Any]) -> str:
    rows = [(name, value) for name, value in result.items() if not isinstance(value, dict)]
    rows += [(f"tenant: {name}", value) for name, value in result.get("tenant_log", {}).items()]
    return "\n".join(f"{name.replace('_', ' '):<34}{value}" for name, value in rows)


if __name__ == "__main__":
    sys.exit(main())
