"""dev.py and the environment that it makes. Nothing here reaches a package registry."""

import ast
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import dev
from localdev.environment import REQUIREMENTS, Environment, InstallError, Stamp, lock, reason
from localdev.progress import Progress
from tests.support import ROOT

NOWHERE = "http://127.0.0.1:9/"

posix_only = pytest.mark.skipif(os.name == "nt", reason="the stand-in interpreter is a shell script")


def plain_environment(**extra: str) -> dict[str, str]:
    """This process's environment without variables that direct pip and npm elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("PIP_", "NPM_CONFIG_"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": NOWHERE, "PIP_RETRIES": "0", **extra}


def run_dev(
    arguments: Sequence[str],
    project: Path = ROOT,
    environment: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> subprocess.CompletedProcess[str]:
    """Runs one `dev.py` command line to its end."""
    command = [python, str(project / "dev.py"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment, timeout=60, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with dev.py and localdev, which needs no package."""
    shutil.copy(ROOT / "dev.py", tmp_path)
    shutil.copytree(ROOT / "localdev", tmp_path / "localdev", ignore=shutil.ignore_patterns("__pycache__"))
    for name in REQUIREMENTS:
        (tmp_path / name).write_text("")
    return tmp_path


def give_interpreter(project: Path) -> Environment:
    """A .venv whose interpreter is the tests' own, made from older requirements."""
    environment = Environment(project)
    environment.python.parent.mkdir(parents=True)
    environment.python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    environment.python.chmod(0o755)
    stamp(environment, Stamp(Stamp.of(project).python, "older"))
    return environment


def stamp(environment: Environment, made_from: Stamp) -> None:
    """Writes the stamp that a finished installation leaves."""
    (environment.folder / "understudy.json").write_text(json.dumps(vars(made_from)))


def ready_project(project: Path, *, package: str, main: str) -> Path:
    """The project, installed as far as dev.py can see, with one more module."""
    stamp(give_interpreter(project), Stamp.of(project))
    (project / package).parent.mkdir(parents=True, exist_ok=True)
    (project / package).write_text(main)
    return project


def test_unknown_command_is_one_line_and_exit_code_2() -> None:
    """After a typo, the line lists the commands."""
    done = run_dev(["tset"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dev.py: no command 'tset'; there are run, demo, test, bench, check, keys, task, guards\n"


def test_help_names_every_command() -> None:
    """--help succeeds. Without a command dev.py prints the same and returns 2."""
    done = run_dev(["--help"])
    assert done.returncode == 0
    assert all(f"dev.py {command} " in done.stdout for command in dev.COMMANDS)
    assert run_dev([]).returncode == 2


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14), (4, 0)])
def test_unsupported_python_is_refused(version: tuple[int, int]) -> None:
    """The refusal names this Python and the supported ones."""
    line = dev.refusal(version)
    assert line == f"dev.py: this is Python {version[0]}.{version[1]}; it needs one of 3.11, 3.12, 3.13"


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_supported_python_is_taken(version: tuple[int, int]) -> None:
    """The three supported versions pass."""
    assert dev.refusal(version) is None


def test_old_python_can_read_dev_py() -> None:
    """The grammar of Python 3.6 reads dev.py, and nothing that runs before the refusal imports newer modules."""
    tree = ast.parse((ROOT / "dev.py").read_text("utf-8"), feature_version=(3, 6))
    imported = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imported] == [
        "import signal",
        "import subprocess",
        "import sys",
        "from pathlib import Path",
    ]


def test_unsupported_python_on_path_gets_one_line() -> None:
    """A real interpreter outside the range prints one line and ends with 2."""
    names = [f"python3.{minor}" for minor in (6, 7, 8, 9, 10, 14, 15)]
    for python in filter(None, map(shutil.which, names)):
        done = run_dev(["run"], python=python)
        # A version manager's link may stand for a Python that isn't installed.
        if done.returncode != 127:
            assert done.returncode == 2
            assert done.stderr.startswith("dev.py: this is Python 3.")
            assert done.stderr.count("\n") == 1
            return
    pytest.skip("no unsupported Python on PATH")


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_changed_requirements_make_the_environment_stale(project: Path, name: str) -> None:
    """Each of the three files is part of the stamp."""
    environment = give_interpreter(project)
    stamp(environment, Stamp.of(project))
    assert environment.is_current()
    (project / name).write_text("requests\n")
    assert not environment.is_current()


def test_environment_of_another_python_is_stale(project: Path) -> None:
    """A .venv made by 3.10 is not taken by this interpreter."""
    environment = give_interpreter(project)
    stamp(environment, Stamp("cpython-3.10", Stamp.of(project).wanted))
    assert not environment.is_current()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"python": "cpython-3.11"}', "\x00"])
def test_unfinished_stamp_counts_as_none(project: Path, content: str) -> None:
    """With a partly written stamp, the installation does not count as finished."""
    environment = give_interpreter(project)
    (environment.folder / "understudy.json").write_text(content)
    assert environment.made_from() is None
    assert not environment.is_current()


@posix_only
def test_no_package_index_is_one_line_and_exit_code_2(project: Path) -> None:
    """Without PyPI the last line of pip's error is printed, and the environment stays unfinished."""
    (project / "requirements-dev.txt").write_text("understudy-not-published>=1\n")
    environment = give_interpreter(project)
    done = run_dev(["check"], project, plain_environment())
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("dev.py: could not install the Python packages: ERROR: No matching distribution found")
    assert environment.made_from() is None


@posix_only
def test_no_npm_registry_is_one_line_and_exit_code_2(project: Path) -> None:
    """Without an npm registry, npm's reason is printed."""
    give_interpreter(project)
    told = plain_environment(npm_config_registry=NOWHERE, npm_config_fetch_retries="0", npm_config_proxy="")
    done = run_dev(["check"], project, told)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("dev.py: could not install Azurite 3.36.0: npm error ")
    assert "complete log" not in last


def test_interrupted_installation_starts_over(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an interrupted run left in .venv is removed before anything is installed again."""
    for name, value in plain_environment().items():
        monkeypatch.setenv(name, value)
    (project / "requirements-dev.txt").write_text("understudy-not-published>=1\n")
    environment = Environment(project)
    leftover = environment.folder / "lib" / "half-installed"
    leftover.mkdir(parents=True)
    (environment.folder / "understudy.json").write_text("{}")
    with pytest.raises(InstallError, match="Python packages"):
        environment.ensure(Progress(io.StringIO()))
    assert not leftover.exists()
    assert environment.python.exists()


def test_foreign_environment_is_left_alone(project: Path) -> None:
    """A .venv that dev.py did not make is refused and keeps every file."""
    mine = project / ".venv" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("precious")
    with pytest.raises(InstallError, match="was not made by dev"):
        Environment(project).ensure(Progress(io.StringIO()))
    assert mine.read_text() == "precious"


def test_second_installation_waits_for_the_first(project: Path) -> None:
    """The second process waits, then finds the work done and installs nothing."""
    environment = give_interpreter(project)
    waiting = threading.Event()

    class Screen(io.StringIO):
        def write(self, text: str) -> int:
            waiting.set()
            return super().write(text)

    screen = Screen()
    second = threading.Thread(target=environment.ensure, args=(Progress(screen),))
    with lock(project / ".local" / "install.lock", Progress(io.StringIO())):
        second.start()
        assert waiting.wait(10)
        stamp(environment, Stamp.of(project))
    second.join(10)
    assert not second.is_alive()
    assert screen.getvalue() == "another dev.py is installing; waiting for it\n"


def test_reason_is_the_last_telling_line() -> None:
    """Notices, warnings and pointers to logs are not the reason."""
    said = ["npm error code ECONNREFUSED", "npm error A complete log of this run can be found in: x.log", ""]
    assert reason(said) == "npm error code ECONNREFUSED"
    assert reason([]) == ""


@posix_only
def test_arguments_and_exit_code_go_through(project: Path) -> None:
    """The command sees the arguments as they are, and its exit code is dev.py's."""
    main = "import json, sys\nprint(json.dumps(sys.argv[1:]))\nsys.exit(7)\n"
    ready_project(project, package="bench/__main__.py", main=main)
    done = run_dev(["bench", "--json", "a b", "--", "-h"], project)
    assert done.returncode == 7
    assert json.loads(done.stdout) == ["--json", "a b", "--", "-h"]


@posix_only
def test_check_reports_every_check(project: Path) -> None:
    """A file that is badly formatted, has an unused import and a wrong type; and no infra/: all are named."""
    shutil.rmtree(project / "localdev")
    ready_project(project, package="wrong.py", main="import os\nx : int = 'text'\n")
    for module in ("__init__", "environment", "lifeline", "progress"):
        (project / "localdev").mkdir(exist_ok=True)
        shutil.copy(ROOT / "localdev" / f"{module}.py", project / "localdev")
    done = run_dev(["check"], project)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "-- format FAILED, lint FAILED, types FAILED, infra FAILED, audit FAILED"


# The tests end when the checks have begun. They say what they were given.
TESTS = """
import os, pathlib, sys, time
print(os.environ.get("UNDERSTUDY_LONG"), *sys.argv[1:])
while '-n' in sys.argv and not pathlib.Path("begun").exists():
    time.sleep(0.01)
sys.exit(int(pathlib.Path("tests-end-with").read_text()))
"""
STAND_INS = {
    "pytest": TESTS,
    "ruff": "import pathlib\npathlib.Path('begun').touch()",
    "mypy": "import pathlib, sys\nsys.exit(int(pathlib.Path('types-end-with').read_text()))",
}


def give_stand_ins(project: Path, *, tests: int = 0, types: int = 0) -> None:
    """Tests and checks that end with these exit codes."""
    ready_project(project, package="localdev/audit.py", main="")
    (project / "localdev/infra_check.py").write_text("")
    for name, main in STAND_INS.items():
        (project / name).mkdir()
        (project / name / "__init__.py").write_text("")  # else the installed package comes first
        (project / name / "__main__.py").write_text(main)
    (project / "tests-end-with").write_text(str(tests))
    (project / "types-end-with").write_text(str(types))


@posix_only
@pytest.mark.parametrize(("tests", "types"), [(0, 0), (0, 1), (3, 0)])
def test_checks_run_beside_the_tests_and_are_told_after_them(project: Path, tests: int, types: int) -> None:
    """The exit code is the tests' own, or says that a check failed."""
    give_stand_ins(project, tests=tests, types=types)
    done = run_dev(["test"], project, plain_environment(UNDERSTUDY_LONG=""))
    assert done.returncode == (tests or types)
    lines = done.stdout.splitlines()
    assert lines[0].split() == list(dev.SIDE_BY_SIDE)
    assert lines[-1] == f"-- format ok, lint ok, types {'FAILED' if types else 'ok'}, infra ok, audit ok"


@posix_only
@pytest.mark.parametrize("arguments", [[], ["-x"]])
def test_long_is_for_the_tests_to_see_and_not_for_pytest(project: Path, arguments: list[str]) -> None:
    """Tests read UNDERSTUDY_LONG, and nothing is taken for a test that hangs. Arguments choose as they always do."""
    give_stand_ins(project)
    done = run_dev(["test", *arguments, "--long"], project)
    assert done.stdout.splitlines()[0].split() == ["1", *dev.WITHOUT_HURRY, *(arguments or dev.SIDE_BY_SIDE)]
    assert ("-- format ok" in done.stdout) == (not arguments)


SERVER = """
import sys, time
try:
    print("ready", flush=True)
    while True:
        time.sleep(0.05)
except KeyboardInterrupt:
    print("tidied", flush=True)
    sys.exit(0)
"""


@posix_only
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_server_ends_with_dev_py(project: Path, signum: signal.Signals) -> None:
    """However dev.py ends, the server can finish and clean up."""
    ready_project(project, package="localdev/run.py", main=SERVER)
    command = [sys.executable, str(project / "dev.py"), "run"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signum)
        # The pipe closes when the last process that holds it has exited.
        assert process.stdout.read() == "tidied\n"
        assert process.wait(10) == (-signum if signum == signal.SIGKILL else 0)
