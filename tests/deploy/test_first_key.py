"""The hook that puts a first key into the vault, with a stand-in for the Azure CLI."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import first_key
from shared.sealing import KeyRing

STAND_IN = Path(__file__).with_name("az_stand_in.py")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for az is a shell script")


class Vault:
    """The stand-in's memory."""

    def __init__(self, file: Path, *, refusals: int = 0, secrets: dict[str, str] | None = None) -> None:
        self._file = file
        file.write_text(json.dumps({"calls": [], "refusals": refusals, "secrets": secrets or {}}))

    @property
    def state(self) -> dict[str, Any]:
        """Calls, secrets, and the mode of the file that a secret came in."""
        state: dict[str, Any] = json.loads(self._file.read_text())
        return state


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH with `az` in it."""
    az = tmp_path / "az"
    az.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    az.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("STAND_IN_VAULT", str(tmp_path / "vault.json"))
    return tmp_path


def test_a_new_vault_gets_a_key_that_the_app_can_use(path: Path) -> None:
    """The key is passed in a private file, never on the command line."""
    vault = Vault(path / "vault.json")
    assert "a first encryption key" in first_key.ensure("kv")
    state = vault.state
    value = state["secrets"]["encryption-keys"]
    assert len(KeyRing.parse(value).keys) == 1
    assert state["mode"] == 0o600
    assert value not in json.dumps(state["calls"])


def test_keys_that_are_there_stay(path: Path) -> None:
    """A second `azd up` changes nothing."""
    vault = Vault(path / "vault.json", secrets={"encryption-keys": "old"})
    assert "already" in first_key.ensure("kv")
    assert vault.state["secrets"] == {"encryption-keys": "old"}


def test_a_role_that_does_not_hold_yet_is_waited_for(path: Path) -> None:
    """A new role reaches the vault some minutes later."""
    vault = Vault(path / "vault.json", refusals=3)
    first_key.ensure("kv", seconds=0)
    assert "encryption-keys" in vault.state["secrets"]


def test_a_vault_that_keeps_refusing_ends_the_deployment(path: Path) -> None:
    """The hook gives up with the vault's own words, after more tries than a new role needs."""
    vault = Vault(path / "vault.json", refusals=1000)
    with pytest.raises(first_key.VaultError, match="Forbidden"):
        first_key.ensure("kv", seconds=0)
    assert vault.state["secrets"] == {}
    assert 5 <= len(vault.state["calls"]) <= 50


def test_without_the_azure_cli_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, and where to get it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(first_key.VaultError, match="not installed"):
        first_key.ensure("kv")


def test_as_azd_runs_it(path: Path) -> None:
    """azd runs it by path, with the vault's name in the environment. Without a name the hook refuses."""
    Vault(path / "vault.json")
    script = Path(first_key.__file__)

    def run(**extra: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(path), "STAND_IN_VAULT": str(path / "vault.json"), **extra}
        return subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)

    done = run(AZURE_KEY_VAULT_NAME="kv-sample")
    assert (done.returncode, "kv-sample" in done.stdout) == (0, True), done.stderr
    assert run().returncode == 2
