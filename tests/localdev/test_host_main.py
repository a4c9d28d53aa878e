"""The command line."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import requests

from tests.localdev.host_apps import HEADER, write_app
from tests.support import wait_for_line

PROJECT = Path(__file__).parents[2]
APP = """
import logging, os

@app.route(route="x", methods=["GET"])
def x(req: func.HttpRequest) -> str:
    logging.info("said by x")
    return os.environ["GREETING"] + os.environ.get("OTHER", "-")

@app.timer_trigger(arg_name="timer", schedule="%WHEN%")
def tick(timer: func.TimerRequest) -> None:
    pass
"""
SETTINGS = {"GREETING": "hello", "WHEN": "0 0 * * * *", "OTHER": "from the file"}


def write_json(folder: Path, name: str, content: object) -> None:
    """Write a JSON file."""
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


def start(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """Starts the host as a developer does."""
    return subprocess.Popen(
        [sys.executable, "-m", "localdev.host", "--app", str(folder), *arguments],
        cwd=PROJECT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a whole app."""
    write_app(tmp_path, APP)
    write_json(tmp_path, "host.json", {"version": "2.0", "extensions": {"http": {"routePrefix": ""}}})
    write_json(tmp_path, "local.settings.json", {"IsEncrypted": False, "Values": SETTINGS})
    return tmp_path


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(folder: Path, number: signal.Signals) -> None:
    """It lists its functions and its key, prefers the environment, logs to stderr, and leaves nothing behind."""
    port = free_port()
    before = sorted(folder.iterdir())
    with start(folder, "--port", str(port), environment={"OTHER": " from outside"}) as process:
        banner = wait_for_line(process, "Key (x-functions-key): ")
        assert requests.get(f"http://127.0.0.1:{port}/x", timeout=10).text == "hello from outside"
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert f"x: [GET] http://localhost:{port}/x" in banner
    assert "tick: timerTrigger 0 0 * * * *" in banner
    assert "INFO x: said by x" in err
    assert "Executed 'Functions.x' (Succeeded" in err
    assert "Traceback" not in err
    assert process.returncode == 0
    assert sorted(folder.iterdir()) == before


def refusal(folder: Path, *arguments: str) -> str:
    """The host's one line of error when it can't start; the exit code is 2."""
    with start(folder, *arguments) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (2, "")
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in err
    return line


def test_no_app_is_told(tmp_path: Path) -> None:
    """The message has the folder."""
    assert f"no function_app.py in {tmp_path.resolve()}" in refusal(tmp_path)


def test_an_import_error_is_told_with_its_place(folder: Path) -> None:
    """The message has the traceback's last line, the file and the line."""
    write_app(folder, "raise RuntimeError('no luck')\n", header="")
    line = refusal(folder)
    assert "RuntimeError: no luck" in line
    assert "function_app.py, line 1" in line


def test_an_indexing_error_is_told(folder: Path) -> None:
    """The message has the function's name."""
    write_app(folder, "@app.route(route='y')\ndef y(request: func.HttpRequest) -> str:\n    return ''\n", header=HEADER)
    assert "function 'y': parameters without a binding: request" in refusal(folder)


def test_a_port_in_use_is_told(folder: Path) -> None:
    """Nothing is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"port {port} is in use" in refusal(folder, "--port", str(port))


def test_the_settings_file_names_the_port(folder: Path) -> None:
    """The name is Host.LocalHttpPort, as in Core Tools."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        write_json(folder, "local.settings.json", {"Host": {"LocalHttpPort": port}, "Values": SETTINGS})
        assert f"port {port} is in use" in refusal(folder)


def test_malformed_files_are_told(folder: Path) -> None:
    """host.json is read before the settings."""
    write_json(folder, "local.settings.json", {"IsEncrypted": True})
    assert "the settings are encrypted" in refusal(folder)
    write_json(folder, "host.json", {})
    assert "host.json" in refusal(folder)


def test_an_unresolved_setting_is_told(folder: Path) -> None:
    """The message has the function that needs the setting."""
    write_json(folder, "local.settings.json", {"Values": {"GREETING": "x"}})
    assert "function 'tick': %WHEN% does not resolve to a value" in refusal(folder)


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
def test_a_handler_that_will_not_end_does_not_hold_the_host(folder: Path) -> None:
    """After a few seconds the host ends without it."""
    endless = """
    import threading

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
    def endless(timer: func.TimerRequest) -> None:
        print("running", flush=True)
        threading.Event().wait()
    """
    write_app(folder, endless)
    with start(folder, "--port", "0") as process:
        wait_for_line(process, "running")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in err
