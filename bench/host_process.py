"""Runs the app under `python -m localdev.host`, as a process."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import urllib3
from urllib3.exceptions import HTTPError

from bench.far_end import PROJECT
from localdev import ports
from localdev.lifeline import Child

_PATIENCE_SECONDS = 60.0
_NO_FILE = "no-such-settings.json"  # a missing file means no settings: a developer's own are not used


class HostProcess:
    """Runs the host from entering to leaving. The process ends with this one at the latest.

    Args:
        settings: the app's settings.
        app: the folder with function_app.py and host.json; None: the project's.
        port: 0 chooses a free one.
        project: the folder with the host and the app's modules.
        python: the interpreter, with what the project needs.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        app: Path | None = None,
        port: int = 0,
        project: Path = PROJECT,
        python: Path = Path(sys.executable),
    ) -> None:
        self._settings = settings
        self._app = app or project
        self._project, self._python = project, python
        self._port = port or ports.free(1)[0]
        self._http = urllib3.PoolManager(retries=False)

    def __enter__(self) -> Self:
        self._child = Child(
            ["localdev.host", "--app", str(self._app), "--port", str(self._port), "--settings", _NO_FILE],
            folder=self._project,
            python=self._python,
            environment={**os.environ, **self._settings},
            output=subprocess.DEVNULL,
        )
        self._wait_until_it_answers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.clear()
        self._child.stop()

    def fire(self, name: str) -> None:
        """Starts a timer's function, without waiting for its end."""
        answer = self._http.request("POST", f"http://127.0.0.1:{self._port}/admin/functions/{name}", json={"input": ""})
        if answer.status != 202:
            raise RuntimeError(f"{name} could not be fired: {answer.status}")

    def _wait_until_it_answers(self) -> None:
        """Waits for any answer: here the host's 404."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline and self._child.process.poll() is None:
            try:
                self._http.request("GET", f"http://127.0.0.1:{self._port}/no-such-page")
            except HTTPError:
                time.sleep(0.005)
            else:
                return
        self._child.stop()
        raise RuntimeError("the local host does not answer")
