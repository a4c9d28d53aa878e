"""A pytest plugin for `mutation.py`: notes which test reaches which lines of one file, and runs chosen tests alone.

--reach-of FILE --reach-to FOLDER    each process writes `{test: [seconds, [line, …]]}` into the folder
--chosen FILE                        runs the tests that a JSON list names, in its order

A line counts as reached in any thread of the process, but not in another process.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """See the module's docstring."""
    for name in ("--reach-of", "--reach-to", "--chosen"):
        parser.addoption(name, type=Path)


def pytest_configure(config: pytest.Config) -> None:
    """Starts to note, when asked."""
    if config.getoption("--reach-of"):
        config.pluginmanager.register(_Reach(config.getoption("--reach-of"), config.getoption("--reach-to")))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the chosen tests, when there is a choice."""
    if config.getoption("--chosen"):
        known = {item.nodeid: item for item in items}
        items[:] = [known[name] for name in json.loads(config.getoption("--chosen").read_text("utf-8"))]


class _Reach:
    """Notes lines by `sys.settrace`, whose cost falls on the one file's functions alone."""

    def __init__(self, file: Path, folder: Path) -> None:
        self._file, self._folder = str(file), folder
        self._lines: set[int] = set()
        self._tests: dict[str, tuple[float, list[int]]] = {}

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Fixtures count as part of the test."""
        began, self._lines = time.perf_counter(), set()
        threading.settrace(self._enter)
        sys.settrace(self._enter)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self._tests[item.nodeid] = (time.perf_counter() - began, sorted(self._lines))

    def pytest_sessionfinish(self) -> None:
        """Writes what was noted."""
        (self._folder / f"{os.getpid()}.json").write_text(json.dumps(self._tests), "utf-8")

    def _enter(self, frame: FrameType, *_: object) -> Any:
        return self._line if frame.f_code.co_filename == self._file else None

    def _line(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            self._lines.add(frame.f_lineno)
        return self._line
