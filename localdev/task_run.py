"""python3 dev.py task NAME --as PERSON: runs one task for one sample person, now.

Everything is on this machine and forgotten afterwards: the sample tenant, the person's sign-in with the task's
permissions, their account. A dry run sends no write and prints what it would have sent.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from localdev.tenant import SampleTenant
from localdev.tenant.visitor import SignInRefused, Visitor
from shared.accounts import Account
from shared.background import Task, checks
from shared.clients.graph import Write, Written
from shared.errors import SettingsError, UnderstudyError
from shared.sealing import new_key
from shared.services import Services
from shared.settings import load
from shared.store import MemoryAccountStore
from shared.store.markers import MemoryMarkers
from tasks import TASKS
from timer_worker.turn import acquire_token, prepare_run

_URL = "http://localhost:7071"


def run(task: Task, username: str, environ: Mapping[str, str], *, dry_run: bool) -> list[str]:
    """Runs the task. Returns the lines to print.

    Raises:
        SettingsError: the task, or a setting of it, is not as it must be.
        SignInRefused: the person can't sign in.
        UnderstudyError, or what the task raises.
    """
    with SampleTenant(keep_secrets=False) as tenant:
        app = _app(task, tenant, environ)
        try:
            account = _sign_in(app, username)
            turn = acquire_token(account, app, app.planner)
            assert turn is not None  # no lease, as nothing rotates strictly here
            status = app.planner.begin(task, turn.after, app.now())
            started = prepare_run(turn, task, status, app.planner, app, dry_run=dry_run)
            task.run(started.context)
            started.state.check()
        finally:
            app.close()
    lines = [_shown(write, written, dry_run=dry_run) for write, written in started.writes.sent]
    lines += [f"state: {json.dumps(started.state, ensure_ascii=False)}"] if started.state else []
    return [*lines, started.context.recorded or "It recorded nothing."]


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 when the task ran, 1 when it failed, 2 when it could not begin."""
    known = {task.name: task for task in TASKS}
    parser = argparse.ArgumentParser(prog="dev.py task", description="Runs one task for one sample person, now.")
    parser.add_argument("name", choices=known, help="the task")
    parser.add_argument("--as", dest="person", required=True, help="a sample person: ben, or ben@contoso.example")
    parser.add_argument("--dry-run", action="store_true", help="send no write, print what would have been sent")
    options = parser.parse_args(arguments)
    person = options.person if "@" in options.person else f"{options.person}@contoso.example"
    try:
        lines = run(known[options.name], person, os.environ, dry_run=options.dry_run)
    except (SettingsError, SignInRefused) as error:
        print(f"dev.py task: {error}", file=sys.stderr)
        return 2
    except UnderstudyError as error:
        print(f"{options.name} failed: {error}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def _app(task: Task, tenant: SampleTenant, environ: Mapping[str, str]) -> Services:
    """The app's parts, with nothing that outlives them."""
    settings = {
        **tenant.settings(_URL),
        **{name: environ.get(name, "") for name in (*task.settings, "TIME_ZONE")},
        "BASE_URL": _URL,
        "ENCRYPTION_KEYS": new_key("task"),
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "SCOPES": " ".join(dict.fromkeys(["User.Read", *task.scopes])),
    }
    loaded = load(settings, of_tasks=task.settings, problems=checks.problems([task]))
    return Services(loaded, tasks=(task,), store=MemoryAccountStore(), markers=MemoryMarkers())


def _sign_in(app: Services, username: str) -> Account:
    url, flow = app.identity.begin_sign_in()
    callback = Visitor().sign_in(url, username)
    return app.enrolment.save_sign_in(app.identity.finish_sign_in(flow, dict(parse_qsl(urlsplit(callback).query))))


def _shown(write: Write, written: Written | None, *, dry_run: bool) -> str:
    outcome = "would send" if dry_run else str(written.status) if written else "no answer"
    once = f" once={write.once!r}" if write.once else ""
    body = f"\n{json.dumps(write.body, indent=2, ensure_ascii=False)}" if write.body is not None else ""
    return f"{outcome}: {write.method} {write.path}{once}{body}"


if __name__ == "__main__":
    sys.exit(main())
