"""Run an app: python -m localdev.host [--app DIR] [--port N] [--settings FILE]."""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from localdev.host import logs
from localdev.host.config import HostConfig, load_port, load_settings
from localdev.host.errors import HostError
from localdev.host.indexing import index
from localdev.host.loading import load_app
from localdev.host.server import LocalHost

_DEFAULT_PORT = 7071
_THREADS_SECONDS = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM and return 0. Return 2 when the app or its settings can't be used."""
    options = _parser().parse_args(arguments)
    try:
        host = _prepare(options)
        stop = _stop_on_signals()
        host.start()
    except HostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        print(_banner(host), flush=True)
        while host.is_running and not stop.wait(0.5):
            pass
    finally:
        host.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localdev.host", description="A local Azure Functions host.")
    parser.add_argument("--app", type=Path, default=Path(), metavar="DIR", help="where function_app.py lies")
    parser.add_argument("--port", type=int, help="default: Host.LocalHttpPort of the settings, or 7071")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="default: local.settings.json in DIR")
    return parser


def _prepare(options: argparse.Namespace) -> LocalHost:
    folder: Path = options.app.resolve()
    file: Path = options.settings or folder / "local.settings.json"
    config = HostConfig.load(folder)
    port = options.port if options.port is not None else load_port(file) or _DEFAULT_PORT
    # Variables that are already set win, as in Core Tools.
    for name, value in {**load_settings(file), "AZURE_FUNCTIONS_ENVIRONMENT": "Development"}.items():
        os.environ.setdefault(name, value)
    logs.configure(config.log_level)
    functions = index(load_app(folder))
    return LocalHost(functions, host_json=config, settings=os.environ, port=port)


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()

    def ask(_signal: int, _frame: object) -> None:
        if stop.is_set():
            # The second signal: somebody doesn't want to wait.
            os._exit(1)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return stop


def _banner(host: LocalHost) -> str:
    """The list of functions that Core Tools prints, and the key."""
    lines = ["", "Functions:", ""]
    for name, line in sorted(_described(host)):
        lines += [f"\t{name}: {line}", ""]
    return "\n".join([*lines, f"Key (x-functions-key): {host.key}", ""])


def _described(host: LocalHost) -> Iterable[tuple[str, str]]:
    for route in host.web.router.routes:
        methods = ",".join(sorted(route.methods)) or "ALL"
        yield route.function.name, f"[{methods}] http://localhost:{host.port}/{route.template}"
    for name, timer in host.timers.items():
        yield name, f"timerTrigger {timer.schedule.expression}, next at {timer.next.isoformat()}"
    for name, listener in host.listeners.items():
        yield name, f"queueTrigger {listener.queue_name}"


def _leave(code: int) -> None:
    """Exit even while a handler's thread is still running: it has had its time."""
    deadline = time.monotonic() + _THREADS_SECONDS
    for thread in threading.enumerate():
        if thread.name.startswith("handler"):
            thread.join(max(0.0, deadline - time.monotonic()))
    sys.stdout.flush()
    sys.stderr.flush()
    if any(thread.name.startswith("handler") for thread in threading.enumerate()):
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    _leave(main())
