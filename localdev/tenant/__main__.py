"""python -m localdev.tenant: serves until it is stopped (SIGINT, SIGTERM; on Windows Ctrl+C, Ctrl+Break)."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from localdev.tenant.server import SampleTenant

_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 when stopped by a signal, 2 when a port is in use."""
    options = _parser().parse_args(arguments)
    ending = threading.Event()
    for name in _SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: ending.set())
    tenant = SampleTenant(
        state=options.state,
        port=options.port,
        page_port=options.page_port,
        redirect_uris=options.redirect_uri,
        keep_secrets=False,
    )
    try:
        tenant.start()
    except OSError as error:
        print(
            f"The sample tenant can't listen on ports {options.port} and {options.page_port}: {error}", file=sys.stderr
        )
        return 2
    print(f"Sample tenant at {tenant.authority}, pages at {tenant.page_url}, Graph at {tenant.graph_url}", flush=True)
    while not ending.wait(0.5):  # in slices: on Windows a signal can't end a longer wait
        pass
    tenant.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localdev.tenant", description=__doc__)
    parser.add_argument("--state", type=Path, help="folder to remember keys and people in; default: nothing is kept")
    parser.add_argument("--port", type=int, default=0, help="https port for programs")
    parser.add_argument("--page-port", type=int, default=0, help="http port for browsers, Graph and the control API")
    parser.add_argument("--redirect-uri", action="append", default=[], help="a further redirect URI of the web app")
    return parser


if __name__ == "__main__":
    sys.exit(main())
