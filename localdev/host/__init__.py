"""A small stand-in for the Azure Functions host, for machines that have only Python.

It reads the same `function_app.py` and `host.json` as Azure does and refuses what Azure refuses. It is never deployed.

It answers HTTP, timers and queue messages as the real host and its Python worker do, and drops the log records that
they drop. It differs from them here:

- `POST /admin/functions/<name>` needs no key, as under Core Tools without `--enableAuth`. One key opens all else that
  needs one; the real host has function keys, host keys, system keys and a master key.
- Of the paths under `/admin` it has `functions`, `host/ping`, `host/status` and `warmup`; the others are 404.
- Its web server is uvicorn, not Kestrel: the largest header or body, `%00` in a path, HTTP/1.0 and the `Date` and
  `Server` headers may differ.
- It has HTTP, timer and queue triggers only, applies no retry policy, and remembers no timer's last run.
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
