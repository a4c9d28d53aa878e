"""Environments beside .venv, and other Pythons. Nothing here reaches a package index."""

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from localdev import pythons
from localdev.environment import InstallError
from localdev.progress import Progress
from localdev.side_environment import IndexUnreachableError, SideEnvironment

QUIET = Progress(io.StringIO())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that needs no package."""
    (tmp_path / "requirements.in").write_text("")
    (tmp_path / "requirements.txt").write_text("")
    return tmp_path


def test_it_is_made_once_and_again_when_its_packages_change(project: Path) -> None:
    """A second call changes nothing, nor does another link to the same Python. A changed requirements file is noticed,
    and one that can't be met is named."""
    environment = SideEnvironment(project, "small", ["--no-index", "-r", "requirements.txt"])
    python = environment.ensure(QUIET)
    assert subprocess.run([python, "-c", "import pip"], check=False).returncode == 0
    mark = environment.folder / "mark"
    mark.touch()
    environment.ensure(QUIET)
    if os.name != "nt":  # making a link takes a privilege there
        (project / "python").symlink_to(sys.executable)
        replace(environment, python=project / "python").ensure(QUIET)
    assert mark.exists()
    (project / "requirements.txt").write_text("no-such-package-anywhere\n")
    with pytest.raises(InstallError, match=r"small: .*no-such-package-anywhere") as caught:
        environment.ensure(QUIET)
    assert not isinstance(caught.value, IndexUnreachableError)
    assert not mark.exists()


def test_an_index_out_of_reach_is_told_apart(project: Path) -> None:
    """Tests can then be skipped without hiding a requirement that can't be met."""
    packages = ["--index-url", "http://127.0.0.1:9/", "--retries", "1", "--isolated", "six"]
    with pytest.raises(IndexUnreachableError):
        SideEnvironment(project, "offline", packages).ensure(QUIET)


def test_this_python_is_found_and_another_may_not_be() -> None:
    """A Python is found by its version, and it runs."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert pythons.find(version) == Path(sys.executable)
    assert pythons.find("3.2") is None
