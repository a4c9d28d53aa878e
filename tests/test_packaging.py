"""The files around the code: what is deployed, with which settings and packages."""

import json
import re
import tomllib

import pytest

from localdev.app_settings import is_placeholder
from shared.settings import documented
from tasks import TASKS
from tests.support import ROOT, ignored

BLUEPRINTS = {"graph_me", "health", "operators", "signin", "timer_worker", "web_api"}
DEPLOYED = BLUEPRINTS | {"host.json", "requirements.txt", "shared", "tasks"}
HOSTS_OWN = {
    "FUNCTIONS_WORKER_RUNTIME",
    "AzureWebJobsDisableHomepage",
    "FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING",
}


def test_only_the_app_is_deployed() -> None:
    """What .funcignore leaves of the project is the app itself."""
    present = {entry.name for entry in ROOT.iterdir() if not ignored(entry.name, ".gitignore")}
    left = {name for name in present if not ignored(name, ".funcignore")}
    assert left <= DEPLOYED | {"function_app.py"}
    assert {"host.json", "requirements.txt", "shared"} <= left


@pytest.mark.parametrize("name", sorted(DEPLOYED | {"function_app.py"}))
def test_the_app_is_not_ignored(name: str) -> None:
    """No pattern takes a part of the app away."""
    assert not ignored(name, ".funcignore")


def test_secrets_of_one_machine_stay_out_of_git() -> None:
    """Settings, keys and the environment are ignored; the example is not."""
    assert all(ignored(name, ".gitignore") for name in ("local.settings.json", ".local", ".venv"))
    assert not ignored("local.settings.json.example", ".gitignore")


def test_example_settings_are_settings_that_exist() -> None:
    """Every name in the example is read by the app or by the Functions host."""
    values = json.loads((ROOT / "local.settings.json.example").read_text("utf-8"))["Values"]
    known = {name for name, _, _ in documented()}
    of_tasks = {name for task in TASKS for name in task.settings}
    assert set(values) <= known | HOSTS_OWN | of_tasks
    assert of_tasks <= set(values)


def test_example_holds_placeholders_where_a_tenant_differs() -> None:
    """What nobody can guess is a placeholder, and nothing else is."""
    values = json.loads((ROOT / "local.settings.json.example").read_text("utf-8"))["Values"]
    assert {name for name, value in values.items() if is_placeholder(value)} == {
        "CLIENT_ID",
        "CLIENT_SECRET",
        "AUTHORITY",
        "ENCRYPTION_KEYS",
    }


def test_every_requirement_has_a_floor_and_a_ceiling() -> None:
    """A deployment never takes a package's next major version by itself."""
    for name in ("requirements.in", "requirements-dev.txt"):
        lines = [line for line in (ROOT / name).read_text("utf-8").splitlines() if line and line[0] not in "#-"]
        assert lines
        for line in lines:
            assert re.fullmatch(r"[\w.-]+(\[\w+\])?>=[\d.]+,<[\d.]+(; python_version .+)?", line), line


def test_every_requirement_is_constrained() -> None:
    """constraints.txt has an exact version for each package that is asked for."""
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()}
    for name in ("requirements.in", "requirements-dev.txt"):
        lines = [line for line in (ROOT / name).read_text("utf-8").splitlines() if line and line[0] not in "#-"]
        assert {re.split(r"[\[><=]", line)[0].lower() for line in lines} <= pinned


def test_supported_pythons_agree() -> None:
    """pyproject.toml and the lint target name the oldest Python that dev.py takes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["requires-python"] == ">=3.11,<3.14"
    assert project["tool"]["ruff"]["target-version"] == "py311"
