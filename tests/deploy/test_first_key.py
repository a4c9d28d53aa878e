"""The hook that puts a first key into the vault, with a stand-in for the Azure CLI."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra import first_key
from shared.sealing import KeyRing
from tests.deploy.az_stand_in import SITE
from tests.deploy.deployment import Deployment, put_az_on_path

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for az is a shell script")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH with nothing but `az` in it."""
    return put_az_on_path(tmp_path, monkeypatch)


def test_a_new_vault_gets_a_key_that_the_app_can_use(path: Path) -> None:
    """The key is passed in a private file, never on the command line."""
    deployment = Deployment(path)
    assert "a first encryption key" in first_key.ensure("kv")
    state = deployment.state
    value = state["secrets"]["encryption-keys"]
    assert len(KeyRing.parse(value).keys) == 1
    assert state["mode"] == 0o600
    assert value not in json.dumps(state["calls"])


def test_keys_that_are_there_stay(path: Path) -> None:
    """A second `azd up` changes nothing."""
    deployment = Deployment(path, secrets={"encryption-keys": "old"})
    assert "already" in first_key.ensure("kv")
    assert deployment.state["secrets"] == {"encryption-keys": "old"}


def test_a_role_that_does_not_hold_yet_is_waited_for(path: Path) -> None:
    """A new role reaches the vault some minutes later."""
    deployment = Deployment(path, refusals=3)
    first_key.ensure("kv", seconds=0)
    assert "encryption-keys" in deployment.state["secrets"]


def test_a_vault_that_keeps_refusing_ends_the_deployment(path: Path) -> None:
    """The hook gives up with the vault's own words, after more tries than a new role needs."""
    deployment = Deployment(path, refusals=1000)
    with pytest.raises(first_key.VaultError, match="Forbidden"):
        first_key.ensure("kv", seconds=0)
    assert deployment.state["secrets"] == {}
    assert 5 <= len(deployment.state["calls"]) <= 50


def test_without_the_azure_cli_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and where to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(first_key.VaultError, match="not installed"):
        first_key.ensure("kv")


def test_the_app_reads_a_key_that_was_written_after_it_was_made(path: Path) -> None:
    """The platform is told to look into the vault again: by itself it does after a day."""
    deployment = Deployment(path, secrets={"encryption-keys": "new"})
    assert "ENCRYPTION_KEYS" in first_key.await_resolution(SITE, seconds=0)
    assert deployment.state["references"] == {"ENCRYPTION_KEYS": "Resolved"}
    assert [method for method, _ in deployment.state["rest"]] == ["get", "post", "get"]


def test_the_apps_own_role_is_waited_for_too(path: Path) -> None:
    """Each try tells the platform again, since a refusal would stay for a day."""
    deployment = Deployment(path, secrets={"encryption-keys": "new"}, refreshes_denied=3)
    first_key.await_resolution(SITE, seconds=0)
    assert deployment.state["references"] == {"ENCRYPTION_KEYS": "Resolved"}


def test_an_app_that_reads_its_key_is_left_alone(path: Path) -> None:
    """A refresh makes the app start anew: a second `azd up` needs none."""
    deployment = Deployment(path, references={"ENCRYPTION_KEYS": "Resolved"})
    first_key.await_resolution(SITE, seconds=0)
    assert [method for method, _ in deployment.state["rest"]] == ["get"]


def test_a_key_that_the_app_never_gets_ends_the_deployment(path: Path) -> None:
    """With the platform's status and words, and what to look at."""
    deployment = Deployment(path, secrets={"encryption-keys": "new"}, refreshes_denied=1000)
    with pytest.raises(first_key.VaultError, match=r"AccessToKeyVaultDenied \(about .*Key Vault Secrets User"):
        first_key.await_resolution(SITE, seconds=0)
    assert 10 <= len(deployment.state["rest"]) <= 100


def test_an_app_that_is_not_there_ends_the_deployment(path: Path) -> None:
    """With the platform's own words."""
    Deployment(path)
    with pytest.raises(first_key.VaultError, match="ResourceNotFound"):
        first_key.await_resolution(f"{SITE}-of-somebody-else", seconds=0)


def test_as_azd_runs_it(path: Path) -> None:
    """By its path, with the deployment's outputs in the environment; it names those that are missing."""
    deployment = Deployment(path, references={"ENCRYPTION_KEYS": "Resolved"})
    script = Path(first_key.__file__)
    outputs = dict(zip(first_key.OUTPUTS, ("kv-sample", "sub", "rg", "func"), strict=True))

    def run(extra: dict[str, str]) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(path), "STAND_IN_STATE": str(path / "state.json"), **extra}
        return subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)

    done = run(outputs)
    assert (done.returncode, "kv-sample" in done.stdout) == (0, True), done.stderr
    assert "ENCRYPTION_KEYS" in done.stdout
    assert deployment.state["rest"] == [
        ["get", f"{SITE}/config/configreferences/appsettings/ENCRYPTION_KEYS?api-version=2022-03-01"]
    ]
    incomplete = run({"AZURE_KEY_VAULT_NAME": "kv-sample"})
    assert incomplete.returncode == 2
    assert "AZURE_FUNCTION_APP_NAME" in incomplete.stderr
