"""infra/verify.sh, against the app on the local host and a stand-in for the Azure CLI."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.deployment import Deployment, put_az_on_path
from tests.running_app import RunningApp

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "infra" / "verify.sh"
RESOLVED = {"ENCRYPTION_KEYS": "Resolved"}
needs = [program for program in ("bash", "curl") if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(needs) or os.name == "nt", reason=f"not installed: {', '.join(needs)}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH, before all others, with `az` in it."""
    return put_az_on_path(tmp_path, monkeypatch, others=True)


def verify(app: RunningApp, **changes: str) -> subprocess.CompletedProcess[str]:
    """Runs the script on the app, with the outputs of a deployment in the environment."""
    outputs = {
        "AZURE_SUBSCRIPTION_ID": "sub",
        "AZURE_RESOURCE_GROUP": "rg",
        "AZURE_FUNCTION_APP_NAME": "func",
        "AZURE_APPLICATION_INSIGHTS_ID": "/insights",
        "UNDERSTUDY_APP_CLIENT_ID": app.tenant.client_id,
        "UNDERSTUDY_URL": app.url,
    }
    environment = {**os.environ, **outputs, **changes}
    return subprocess.run(["bash", SCRIPT], env=environment, capture_output=True, text=True, check=False, timeout=120)


def failed(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The first words of each check that failed; the exit code is their number."""
    lines = re.findall(r"^FAIL  (\S+ \S+ [^\s:]+)", done.stdout, flags=re.MULTILINE)
    assert done.returncode == len(lines), (done.stdout, done.stderr)
    return lines


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_script_is_clean() -> None:
    """By shellcheck, without an exception that has no reason."""
    done = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_a_sound_deployment_passes_every_check(app: RunningApp, folder: Path) -> None:
    """Health, sign-in, references, roles, readiness, listeners, a sweep, and each alert."""
    Deployment(folder, references=RESOLVED, function_key=app.host.key)
    done = verify(app)
    assert failed(done) == []
    alerts = len(list((ROOT / "infra" / "alerts").glob("*.kql")))
    assert done.stdout.count("ok    ") == 7 + alerts


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        ({"references": {"ENCRYPTION_KEYS": "SecretNotFound"}}, "every reference to"),
        ({"references": RESOLVED | {"CLIENT_SECRET": "AccessToKeyVaultDenied"}}, "every reference to"),
        ({"roles": ["Storage Blob Data Owner", "Storage Table Data Contributor"]}, "the app's identity"),
        ({"rows": {'name in ("sweep"': 0}}, "the timer ran"),
        ({"rows": {'name in ("sweep"': 12, "was unable to start": 1}}, "no trigger failed"),
        ({"rules": {"misconfigured": True, "no-sweep": False, "set-aside": True}}, "alert no-sweep is"),
        ({"rules": {"misconfigured": True, "no-sweep": True}}, "alert set-aside is"),
        ({"queries_refused": ["refused: 500"]}, "alert misconfigured is"),
    ],
)
def test_what_is_wrong_fails_its_check_and_no_other(
    app: RunningApp, folder: Path, broken: dict[str, Any], check: str
) -> None:
    """A check that can't fail would say nothing."""
    Deployment(folder, **({"references": RESOLVED, "function_key": app.host.key} | broken))
    assert failed(verify(app)) == [check]


def test_another_registration_than_the_deployed_one_is_found(app: RunningApp, folder: Path) -> None:
    """Sign-in names the client id that the app has."""
    Deployment(folder, references=RESOLVED, function_key=app.host.key)
    assert failed(verify(app, UNDERSTUDY_APP_CLIENT_ID="0" * 8)) == ["sign-in goes to"]


def test_an_app_that_is_down_fails_what_asks_it(app: RunningApp, folder: Path) -> None:
    """And the other checks are made all the same."""
    Deployment(folder, references=RESOLVED, function_key=app.host.key)
    done = verify(app, UNDERSTUDY_URL="http://127.0.0.1:9")
    assert failed(done) == ["the app answers", "sign-in goes to", "the app reaches"]


def test_an_azure_cli_that_refuses_everything_fails_what_asks_it(app: RunningApp, folder: Path) -> None:
    """No check passes because its question had no answer."""
    Deployment(folder, references=RESOLVED, function_key=app.host.key)
    (folder / "az").write_text("#!/bin/sh\necho 'ERROR: Please run az login' >&2\nexit 1\n")
    done = verify(app)
    assert len(failed(done)) == 8
    assert re.findall(r"^ok    (.+)$", done.stdout, flags=re.MULTILINE) == [
        "the app answers",
        "sign-in goes to the identity provider, with this registration and this address",
    ]


def test_what_is_not_in_the_environment_comes_from_azd(app: RunningApp, folder: Path) -> None:
    """And what azd does not know either is named."""
    Deployment(folder, references=RESOLVED, function_key=app.host.key)
    (folder / "azd").write_text(f'#!/bin/sh\n[ "$*" = "env get-value UNDERSTUDY_URL" ] && echo {app.url}\n')
    (folder / "azd").chmod(0o755)
    assert failed(verify(app, UNDERSTUDY_URL="")) == []
    done = verify(app, UNDERSTUDY_URL="", AZURE_RESOURCE_GROUP="")
    assert done.returncode != 0
    assert "AZURE_RESOURCE_GROUP is not known" in done.stderr


def test_the_function_key_is_on_no_command_line(app: RunningApp, folder: Path) -> None:
    """Whoever lists the machine's processes does not see it."""
    Deployment(folder, references=RESOLVED, function_key="unmistakable")
    curl = shutil.which("curl")
    seen = folder / "arguments"
    (folder / "curl").write_text(f'#!/bin/sh\necho "$@" >> "{seen}"\nexec "{curl}" "$@"\n')
    (folder / "curl").chmod(0o755)
    verify(app)
    assert "/readyz" in seen.read_text()
    assert "unmistakable" not in seen.read_text()
