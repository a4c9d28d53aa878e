"""What `dev.py run` will start, and on which ports. It is decided before anything is started."""

import argparse
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from localdev import app_settings, ports
from localdev.app_settings import LocalSettingsError
from localdev.azurite import STANDARD_PORTS
from shared.errors import SettingsError
from shared.sealing import new_key
from shared.settings import load

_LOCAL_STORAGE = "UseDevelopmentStorage=true"


class CannotStartError(Exception):
    """Nothing was started. The message is one line for the developer."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to start and where."""

    data: Path
    app_port: int
    tenant_port: int
    page_port: int
    storage_ports: Mapping[str, int]
    func: str | None
    real: Mapping[str, str] | None

    @property
    def base_url(self) -> str:
        """The app's URL."""
        return f"http://localhost:{self.app_port}"

    @property
    def local_storage(self) -> bool:
        """Whether Azurite is needed. It is not when local.settings.json names a storage account in Azure."""
        return self.real is None or self.real.get("AzureWebJobsStorage", _LOCAL_STORAGE) == _LOCAL_STORAGE

    def wanted_ports(self) -> dict[str, int]:
        """Purpose -> the port that it needs."""
        wanted = {"the app, --port takes another": self.app_port}
        if self.real is None:
            wanted |= {"the sample tenant": self.tenant_port, "the sample tenant's pages": self.page_port}
        if self.local_storage:
            names = ("blob", "queue", "table") if self.func else ("queue", "table")
            wanted |= {f"Azurite's {name} service": self.storage_ports[name] for name in names}
        return wanted


def make(arguments: argparse.Namespace, *, project: Path) -> Plan:
    """Raises: CannotStartError"""
    app, tenant, page, *storage = ports.free(6) if arguments.any_port else (7071, 8443, 8400, *STANDARD_PORTS.values())
    try:
        real = app_settings.of_real_tenant(project / "local.settings.json")
    except LocalSettingsError as error:
        raise CannotStartError(str(error)) from error
    made = Plan(
        data=arguments.data.resolve(),
        app_port=arguments.port or app,
        tenant_port=tenant,
        page_port=page,
        storage_ports=dict(zip(STANDARD_PORTS, storage, strict=True)),
        func=None if arguments.no_func else shutil.which("func"),
        real=real,
    )
    if real:
        _check_settings(real, made.base_url)
    for purpose, port in made.wanted_ports().items():
        if not ports.is_free(port):
            raise CannotStartError(f"port {port} ({purpose}) is in use by another program")
    return made


def _check_settings(real: Mapping[str, str], base_url: str) -> None:
    """Raises CannotStartError when the app would not take these settings: it would say so again and again."""
    ours = {"BASE_URL": base_url, "ENCRYPTION_KEYS": new_key("any"), "AzureWebJobsStorage": _LOCAL_STORAGE}
    try:
        load({**os.environ, **ours, **real})
    except SettingsError as error:
        raise CannotStartError("; ".join(error.problems)) from error
