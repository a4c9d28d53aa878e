"""The app in a process of its own, at DEBUG, with everything that it writes kept."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.security.raw_http import send
from tests.support import ROOT, wait_until

_PATIENCE_SECONDS = 60.0


@dataclass
class HostProcess:
    """A running host."""

    url: str
    process: "subprocess.Popen[str]"
    said: list[str] = field(default_factory=list)

    def listen(self, stream: IO[str]) -> threading.Thread:
        """Keeps every line of a stream."""

        def copy() -> None:
            for line in stream:
                self.said.append(line)

        thread = threading.Thread(target=copy, daemon=True)
        thread.start()
        return thread

    def wait_for(self, text: str, *, after: int = 0) -> None:
        """Waits for a line with `text`, behind the first `after` lines. Fails when none comes."""
        wait_until(
            lambda: any(text in line for line in self.said[after:]), f"the host says {text!r}", _PATIENCE_SECONDS
        )

    def sweep(self) -> None:
        """Fires the timer and waits for its end."""
        heard = len(self.said)
        answer = send(
            self.url, "POST", "/admin/functions/sweep", [("Content-Type", "application/json")], b'{"input":""}'
        )
        assert answer.status == 202
        self.wait_for("Executed 'Functions.sweep'", after=heard)


@contextmanager
def running_host(folder: Path, settings: Mapping[str, str], port: int) -> Iterator[HostProcess]:
    """The project's app with host.json's log level at Trace."""
    _link_app(folder)
    environment = {**os.environ, **settings, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        sys.executable,
        "-X",
        "dev",
        "-W",
        "ignore",
        "-m",
        "localdev.host",
        "--app",
        str(folder),
        "--port",
        str(port),
    ]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        host = HostProcess(f"http://localhost:{port}", process)
        assert process.stdout
        assert process.stderr
        threads = [host.listen(process.stdout), host.listen(process.stderr)]
        try:
            host.wait_for("queueTrigger")
            yield host
        finally:
            process.terminate()
            process.wait(_PATIENCE_SECONDS)
            for thread in threads:
                thread.join(_PATIENCE_SECONDS)


def _link_app(folder: Path) -> None:
    for entry in ROOT.iterdir():
        if entry.name == "function_app.py" or (entry / "__init__.py").is_file():
            (folder / entry.name).symlink_to(entry)
    host_json = json.loads((ROOT / "host.json").read_text("utf-8"))
    host_json["logging"]["logLevel"]["default"] = "Trace"
    (folder / "host.json").write_text(json.dumps(host_json), "utf-8")
