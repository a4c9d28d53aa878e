"""A small stand-in for the Azure Functions host, for machines that have only Python.

It reads the same `function_app.py` and `host.json` as Azure does and refuses what Azure refuses.
It is never deployed.
"""

from localdev.host.config import HostConfig, QueueOptions, load_settings
from localdev.host.errors import (
    AppLoadError,
    ConfigError,
    HostError,
    IndexingError,
    PortInUseError,
    ScheduleError,
    UnresolvedSettingError,
)
from localdev.host.indexing import IndexedFunction, index
from localdev.host.invocation import Outcome
from localdev.host.loading import load_app
from localdev.host.schedule import Schedule
from localdev.host.server import LocalHost

__all__ = [
    "AppLoadError",
    "ConfigError",
    "HostConfig",
    "HostError",
    "IndexedFunction",
    "IndexingError",
    "LocalHost",
    "Outcome",
    "PortInUseError",
    "QueueOptions",
    "Schedule",
    "ScheduleError",
    "UnresolvedSettingError",
    "index",
    "load_app",
    "load_settings",
]
