"""`dev.py run`: what it starts, prints and leaves behind."""

import argparse
import contextlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from localdev import app_settings, plan
from localdev.app_settings import LocalSettingsError
from localdev.plan import CannotStartError
from localdev.supervisor import ChildEndedError, Supervisor
from shared.sealing import KeyRing
from tests.support import ROOT, wait_until

# Replaces Core Tools: records how it was called, then serves as the app would.
FUNC = """#!{python}
import http.server, json, os, sys
names = ("CLIENT_ID", "BASE_URL", "AzureWebJobsStorage", "VIRTUAL_ENV", "FUNCTIONS_WORKER_RUNTIME")
told = {{name: os.environ.get(name, "") for name in names}}
with open({record!r}, "w") as record:
    json.dump({{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": told}}, record)
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


class Started:
    """One running `python -m localdev.run`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []

    def wait_for(self, pattern: str) -> str:
        """Reads until a line matches; returns its first group."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            found = re.search(pattern, line)
            if found:
                return found[1]
        raise AssertionError("\n".join(self.said))

    def rest(self) -> list[str]:
        """Reads the remaining output. The pipe closes when no process holds it any more."""
        assert self.process.stdout is not None
        return self.process.stdout.read().splitlines()


@contextlib.contextmanager
def run(*arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Started]:
    """Starts it on free ports, and ends it afterwards."""
    command = [sys.executable, "-m", "localdev.run", *arguments]
    told = {**os.environ, **(environment or {})}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=told,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield Started(process)
        finally:
            process.kill()


def listens(url: str) -> bool:
    """Whether a server accepts connections at this URL."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1]))) == 0


@pytest.mark.skipif(os.name == "nt", reason="a signal can be sent to one process on POSIX only")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_run_serves_says_where_and_ends_without_a_trace(tmp_path: Path, signum: signal.Signals) -> None:
    """The app answers at the printed URL and the people are listed. Ctrl+C ends everything with exit code 0."""
    with run("--any-port", "--no-func", "--data", str(tmp_path)) as started:
        url = started.wait_for(r"Understudy runs at (\S+)")
        key = started.wait_for(r"key for /readyz and /admin, .*: (\S+)")
        pages = started.wait_for(r"sample tenant and Graph at (\S+);")
        assert started.wait_for(r"(ada@contoso.example\s+Ada Lindqvist, operator)")
        with urllib.request.urlopen(url) as page:
            assert page.status == 200
        with urllib.request.urlopen(f"{url}/admin/functions?code={key}") as listed:
            assert {"name": "sweep"} in json.load(listed)
        started.process.send_signal(signum)
        assert started.rest()[-1] == "ended"
        assert started.process.wait(10) == 0
        assert not listens(url)
        assert not listens(pages)


@pytest.mark.skipif(os.name == "nt", reason="a signal can be sent to one process on POSIX only")
def test_core_tools_are_used_when_installed(tmp_path: Path) -> None:
    """`func start` gets the port, the settings and this Python, and ends with the rest."""
    record, func = tmp_path / "record.json", tmp_path / "bin" / "func"
    func.parent.mkdir()
    func.write_text(FUNC.format(python=sys.executable, record=str(record)))
    func.chmod(0o755)
    path = {"PATH": f"{func.parent}{os.pathsep}{os.environ['PATH']}"}
    with run("--any-port", "--data", str(tmp_path / "data"), environment=path) as started:
        url = started.wait_for(r"Understudy runs at (\S+)")
        assert started.wait_for(r"(under Core Tools)")
        called = json.loads(record.read_text())
        started.process.send_signal(signal.SIGINT)
        assert started.rest()[-1] == "ended"
        assert started.process.wait(20) == 0
    assert called["arguments"] == ["start", "--port", url.rsplit(":", 1)[1]]
    assert called["folder"] == str(ROOT)
    told = called["environment"]
    assert (told["BASE_URL"], told["VIRTUAL_ENV"], told["FUNCTIONS_WORKER_RUNTIME"]) == (url, sys.prefix, "python")
    assert told["CLIENT_ID"]
    assert "BlobEndpoint=" in told["AzureWebJobsStorage"]
    assert not listens(url)


def test_taken_port_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    """Nothing is started when the app's port is in use."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with run("--any-port", "--port", str(port), "--data", str(tmp_path / "data")) as started:
            said = started.rest()
            assert started.process.wait(10) == 2
    assert said == [f"run: port {port} (the app, --port takes another) is in use by another program"]
    assert not (tmp_path / "data").exists()


def test_child_that_dies_is_reported(tmp_path: Path) -> None:
    """Each line has the child's name, and the check reports it with its exit code."""
    (tmp_path / "brief.py").write_text("import sys; print('so long'); sys.exit(4)")
    screen = io.StringIO()
    supervisor = Supervisor(ROOT, screen)
    supervisor.start("brief", ["brief"], {"PYTHONPATH": str(tmp_path)})
    with pytest.raises(ChildEndedError, match=r"brief ended by itself \(exit code 4\)") as caught:
        wait_until(lambda: checked(supervisor), "the check fails")
    supervisor.stop()
    assert caught.value.code == 4
    assert screen.getvalue() == "brief  | so long\n"


def checked(supervisor: Supervisor) -> bool:
    """Checks once, as `dev.py run` does. Never true: a check says nothing, or raises."""
    supervisor.check()
    return False


def arguments(**given: object) -> argparse.Namespace:
    """A command line, as parsed."""
    values = {"port": None, "any_port": True, "no_func": True, "data": Path("data")}
    return argparse.Namespace(**{**values, **given})


def test_example_settings_name_no_real_tenant(tmp_path: Path) -> None:
    """A copy of the example with all placeholders means the sample tenant."""
    example = (ROOT / "local.settings.json.example").read_text("utf-8")
    (tmp_path / "local.settings.json").write_text(example, "utf-8")
    made = plan.make(arguments(), project=tmp_path)
    assert made.real is None
    assert sorted(made.wanted_ports().values()) == sorted(
        [made.app_port, made.tenant_port, made.page_port, made.storage_ports["queue"], made.storage_ports["table"]]
    )


def test_filled_settings_replace_the_sample_tenant(tmp_path: Path) -> None:
    """With a real client and authority no sample tenant is started; remaining placeholders are not passed on."""
    example = json.loads((ROOT / "local.settings.json.example").read_text("utf-8"))
    example["Values"] |= {"CLIENT_ID": "11111111-2222-3333-4444-555555555555", "AUTHORITY": "https://login.example/t"}
    example["Values"]["CLIENT_SECRET"] = "s"
    (tmp_path / "local.settings.json").write_text(json.dumps(example))
    made = plan.make(arguments(), project=tmp_path)
    assert made.real is not None
    assert made.real["AUTHORITY"] == "https://login.example/t"
    assert "ENCRYPTION_KEYS" not in made.real
    assert made.local_storage
    assert made.tenant_port not in made.wanted_ports().values()


def test_real_storage_account_replaces_azurite(tmp_path: Path) -> None:
    """With the developer's own connection string, only the app's port is needed."""
    values = {"CLIENT_ID": "id", "CLIENT_SECRET": "s", "OIDC_AUTHORITY": "https://login.example"}
    values["AzureWebJobsStorage"] = "AccountName=a"
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values}))
    made = plan.make(arguments(), project=tmp_path)
    assert not made.local_storage
    assert list(made.wanted_ports().values()) == [made.app_port]


def test_settings_that_the_app_would_refuse_are_one_line(tmp_path: Path) -> None:
    """Nothing is started: the app would repeat the error with every request and every tick."""
    values = {"CLIENT_ID": "id", "OIDC_AUTHORITY": "http://login.example", "SWEEP_EVERY": "often"}
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values}))
    with pytest.raises(CannotStartError) as refused:
        plan.make(arguments(), project=tmp_path)
    line = str(refused.value)
    assert "\n" not in line
    for name in ("OIDC_AUTHORITY", "SWEEP_EVERY", "CLIENT_SECRET"):
        assert name in line


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"Values": 1}'])
def test_broken_settings_start_nothing(tmp_path: Path, content: str) -> None:
    """An unreadable local.settings.json is an error. It is no reason to use the sample tenant."""
    (tmp_path / "local.settings.json").write_text(content)
    with pytest.raises(CannotStartError, match=r"local\.settings\.json"):
        plan.make(arguments(), project=tmp_path)
    with pytest.raises(LocalSettingsError):
        app_settings.of_real_tenant(tmp_path / "local.settings.json")


def test_encryption_keys_are_made_once(tmp_path: Path) -> None:
    """The second run reads the first run's file, which only its owner may read."""
    file = tmp_path / ".local" / "encryption_keys"
    keys = app_settings.encryption_keys(file)
    assert app_settings.encryption_keys(file) == keys
    assert len(KeyRing.parse(keys).keys) == 1
    if os.name != "nt":
        assert file.stat().st_mode & 0o077 == 0
