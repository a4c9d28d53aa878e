"""Small function apps for the host's tests."""

import contextlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import azure.functions as func

from localdev.host import HostConfig, LocalHost, index, load_app

HEADER = """
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""


def write_app(folder: Path, body: str, *, header: str = HEADER) -> Path:
    """Write `folder`/function_app.py and return the folder."""
    (folder / "function_app.py").write_text(header + textwrap.dedent(body), encoding="utf-8")
    return folder


def new_app() -> func.FunctionApp:
    """An app whose HTTP functions are open to everybody."""
    return func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@contextlib.contextmanager
def loaded(folder: Path) -> Iterator[func.FunctionApp]:
    """The folder's app; sys.path and sys.modules are put back afterwards."""
    before = list(sys.path)
    try:
        yield load_app(folder)
    finally:
        sys.path[:] = before
        sys.modules.pop("function_app", None)


@contextlib.contextmanager
def serving(app: func.FunctionApp, *, prefix: str = "", **options: Any) -> Iterator[LocalHost]:
    """The app behind a host with no route prefix; triggers are off unless asked for."""
    chosen = {"host_json": HostConfig(route_prefix=prefix), "triggers": False, **options}
    with LocalHost(index(app), **chosen) as host:
        yield host
