"""What `dev.py run` does: it starts and stops Azurite, the sample tenant and the app together.

With a real tenant in local.settings.json the sample tenant is not started. The app runs under Core Tools' `func` when
that is installed, else under localdev's own host. All data is stored in the folder .local.
"""

import argparse
import contextlib
import http.client
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from localdev import app_settings, plan
from localdev.azurite import Azurite, AzuriteError, PortInUse
from localdev.host.server import KEY_SETTING
from localdev.lifeline import PROGRAM
from localdev.plan import CannotStartError, Plan
from localdev.supervisor import ChildEndedError, Supervisor
from localdev.tenant import SampleTenant

PROJECT = Path(__file__).resolve().parents[1]
CANNOT = 2
_READY_SECONDS = 60.0
_TURN = 0.05


class StoppedError(Exception):
    """The developer stopped the run before everything was ready."""


class NotReadyError(Exception):
    """A part took too long to answer."""


class Run:
    """One run of everything, from start to end.

    Attributes:
        key: opens /readyz and /admin; "" under Core Tools, which ask for none.
    """

    def __init__(self, plan: Plan, supervisor: Supervisor, stopping: threading.Event) -> None:
        self._plan = plan
        self._supervisor = supervisor
        self._stopping = stopping
        self.key = "" if plan.func else secrets.token_urlsafe(24)
        self._azurite: Azurite | None = None
        self._tenant: SampleTenant | None = None

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        """Inside the block everything runs and answers. Afterwards the app is stopped first and the storage last.

        Raises: ChildEndedError, NotReadyError, StoppedError, AzuriteError
        """
        settings = self._common_settings()
        with contextlib.ExitStack() as ending:
            if self._plan.local_storage:
                self._azurite = ending.enter_context(self._new_azurite())
            if self._plan.real is None:
                self._tenant = ending.enter_context(self._new_tenant())
                settings |= {**self._tenant.settings(self._plan.base_url), **app_settings.SAMPLE_PACE}
            settings |= self._plan.real or {}
            if self._azurite:
                settings["AzureWebJobsStorage"] = self._azurite.connection_string
            ending.callback(self._supervisor.stop)
            self._start_app(settings)
            yield

    def people(self) -> list[str]:
        """Who can sign in to the sample tenant, one line per person."""
        known = self._tenant.people() if self._tenant else []
        return [_described(person) for person in known if SampleTenant.tenant_id in person["oids"]]

    def watch(self) -> None:
        """Returns when the developer stops the run. Raises: ChildEndedError"""
        while not self._stopping.wait(_TURN):
            self._check()

    def _common_settings(self) -> dict[str, str]:
        exempt = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
        beside = ",".join(filter(None, [exempt, "localhost,127.0.0.1"]))
        return {
            # Storage and the sample tenant are on this machine: no proxy is used for them.
            "NO_PROXY": beside,
            "no_proxy": beside,
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "AzureWebJobsDisableHomepage": "true",
            "BASE_URL": self._plan.base_url,
            "ENCRYPTION_KEYS": app_settings.encryption_keys(self._plan.data / "encryption_keys"),
        }

    def _new_azurite(self) -> Azurite:
        return Azurite(self._plan.data / "azurite", blob=bool(self._plan.func), ports=self._plan.storage_ports)

    def _new_tenant(self) -> SampleTenant:
        return SampleTenant(
            state=self._plan.data / "tenant",
            port=self._plan.tenant_port,
            page_port=self._plan.page_port,
            keep_secrets=False,
        )

    def _start_app(self, settings: dict[str, str]) -> None:
        port = ["--port", str(self._plan.app_port)]
        if self._plan.func:
            # func uses the first Python on PATH for its worker.
            path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
            settings |= {"PATH": path, "VIRTUAL_ENV": sys.prefix}
            command = [PROGRAM, self._plan.func, "start", *port]
        else:
            settings[KEY_SETTING] = self.key
            command = ["localdev.host", "--app", str(PROJECT), *port]
        self._supervisor.start("app", command, settings)
        self._wait_until(lambda: _answers(self._plan.app_port), "the app")

    def _wait_until(self, ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            self._check()
            if self._stopping.wait(_TURN):
                raise StoppedError
            if time.monotonic() > deadline:
                raise NotReadyError(f"{what} did not answer within {_READY_SECONDS:.0f} seconds")

    def _check(self) -> None:
        self._supervisor.check()
        ended = self._azurite.ended() if self._azurite else None
        if ended:
            raise ChildEndedError(f"Azurite's {ended} service", 1)


def _answers(port: int) -> bool:
    """Whether the app serves its home page. Uses a plain connection, so that no proxy setting applies."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status in range(200, 500)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _described(person: Mapping[str, Any]) -> str:
    guest = next(iter(person["oids"])) != SampleTenant.tenant_id
    marks = ["operator"] * bool(person["roles"]) + ["guest"] * guest
    return f"{person['username']:<32} {', '.join([person['name'], *marks])}"


def introduction(plan: Plan, people: Sequence[str], key: str) -> str:
    """What the developer is told when everything runs."""
    lines = ["", f"Understudy runs at {plan.base_url}"]
    lines.append("  under Core Tools" if plan.func else "  under localdev's host (Core Tools' func is not installed)")
    if key:
        lines.append(f"  key for /readyz and /admin, in the header x-functions-key: {key}")
    if plan.local_storage:
        lines.append(f"  storage: Azurite, {plan.data / 'azurite'}")
    if plan.real is None:
        lines.append(f"  sample tenant and Graph at http://localhost:{plan.page_port}; who can sign in there:")
        lines += [f"    {person}" for person in people]
    else:
        lines.append(f"  tenant: {plan.real.get('AUTHORITY') or plan.real['OIDC_AUTHORITY']}, from local.settings.json")
    return "\n".join([*lines, "Ctrl+C ends it.", ""])


def act(plan: Plan, supervisor: Supervisor, stopping: threading.Event) -> int:
    """Runs until the developer stops it (returns 0) or something fails (1, or 2 when a port is taken)."""
    run = Run(plan, supervisor, stopping)
    try:
        with run.started():
            supervisor.say(introduction(plan, run.people(), run.key))
            run.watch()
            supervisor.say("ending ...")
    except StoppedError:
        pass
    except PortInUse as error:
        return _complain(str(error), CANNOT)
    except (ChildEndedError, NotReadyError, AzuriteError) as error:
        return _complain(f"{error}; everything else has ended too", 1)
    supervisor.say("ended")
    return 0


def _complain(line: str, code: int) -> int:
    print(f"run: {line}", file=sys.stderr)
    return code


def main() -> int:
    """Parses the command line and returns the exit code."""
    parser = argparse.ArgumentParser(prog="dev.py run", description="Starts the app and all that it needs.")
    parser.add_argument("--port", type=int, help="the app's port (7071)")
    parser.add_argument(
        "--any-port", action="store_true", help="free ports for everything: a second run beside the first"
    )
    parser.add_argument("--no-func", action="store_true", help="localdev's host, even where Core Tools are installed")
    parser.add_argument("--data", type=Path, default=PROJECT / ".local", help="where data is kept (.local)")
    stopping = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stopping.set())
    try:
        planned = plan.make(parser.parse_args(), project=PROJECT)
    except CannotStartError as error:
        return _complain(str(error), CANNOT)
    return act(planned, Supervisor(PROJECT), stopping)


if __name__ == "__main__":
    sys.exit(main())
