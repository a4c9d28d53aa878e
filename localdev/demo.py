"""`dev.py demo`: the main job, automated and on real parts. People sign in and leave; the sweep acts for them. One
person is revoked and comes back. Another uses the desktop client and withdraws.

Everything is as a user would see it. The local host serves the app in its own process, people bring cookies and follow
redirects, Azurite stores the rows, and the sample tenant keeps its own log. No row is edited and no clock is moved.
"""

import argparse
import io
import json
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

from localdev.azurite import Azurite, AzuriteError
from localdev.desktop_user import CommandFailedError, DesktopUser
from localdev.progress import Progress
from localdev.stage import PATIENCE_SECONDS, DemoFailed, Stage
from localdev.supervisor import ChildEndedError, Supervisor
from localdev.tenant import SampleTenant
from shared.sealing import new_key
from shared.services import Services
from shared.settings import documented, load

PROJECT = Path(__file__).resolve().parents[1]
_NO_FILE = PROJECT / ".local" / "none.json"  # the demo passes settings by environment only
PEOPLE = ("ben", "chiara", "deniz", "emi")
GUEST = "greta@fabrikam.example"
ON_DESKTOP = "farid@contoso.example"
PRESENT = "ada@contoso.example"
REVOKED = "deniz@contoso.example"
# A short-lived access token is not used in its last minute. These are used for fifteen seconds, and not at all.
_CACHED_FOR, _EXPIRED_AT_ONCE = 75, 60
_ABSENT_AFTER, _SWEEP_EVERY = 2, 3


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
    stage.sign_in(REVOKED, look=False)  # a page view would renew the expired token before the sweep does
    stage.wait_until_due([*people, PRESENT])
    stage.sweep()
    stage.withdraw(ON_DESKTOP)


def report(stage: Stage, seconds: float) -> dict[str, Any]:
    """Collects the demo's figures. `ok` says whether the app's rows agree with the tenant's own log."""
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
    """Starts all parts, plays the story, stops all parts. Raises DemoFailed, AzuriteError, ChildEndedError, OSError."""
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
    """Returns 0 when everything was as promised, 1 when it was not (the app's output is shown), 2 when it could not
    start."""
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
        "SWEEP_SCHEDULE": "0 0 0 1 1 *",  # the demo fires it
        "SWEEP_EVERY": f"{_SWEEP_EVERY}s",
        "ABSENT_AFTER": f"{_ABSENT_AFTER}s",
    }


def _without_ours(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without any settings of this app."""
    return {name: "" for name, _, _ in documented() if name in environ}


def _wait_for(url: str, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
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


def _table(result: Mapping[str, Any]) -> str:
    rows = [(name, value) for name, value in result.items() if not isinstance(value, dict)]
    rows += [(f"tenant: {name}", value) for name, value in result.get("tenant_log", {}).items()]
    return "\n".join(f"{name.replace('_', ' '):<34}{value}" for name, value in rows)


if __name__ == "__main__":
    sys.exit(main())
