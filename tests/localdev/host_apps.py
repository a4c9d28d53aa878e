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
    """An app with anonymous HTTP functions."""
    return func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@contextlib.contextmanager
def loaded(folder: Path) -> Iterator[func.FunctionApp]:
    """The folder's app. sys.path and sys.modules are restored afterwards."""
    before = list(sys.path)
    try:
        yield load_app(folder)
    finally:
        sys.path[:] = before
        sys.modules.pop("function_app", None)


@contextlib.contextmanager
def serving(app: func.FunctionApp, *, prefix: str = "", **options: Any) -> Iterator[LocalHost]:
    """The app on a host without a route prefix. Its triggers are off unless `options` says otherwise."""
    chosen = {"host_json": HostConfig(route_prefix=prefix), "triggers": False, **options}
    with LocalHost(index(app), **chosen) as host:
        yield host
