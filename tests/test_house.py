"""Who may import whom, who reads the environment, and which functions there are: a forgotten registration is silent."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from localdev.host import IndexedFunction
from tests.support import ROOT

BLUEPRINTS = ("graph_me", "health", "operators", "signin", "timer_worker", "web_api")
DEPLOYED = (*BLUEPRINTS, "shared", "function_app")
NEVER_DEPLOYED = ("bench", "desktop", "localdev", "tests")
FUNCTIONS = {
    *("accounts", "accounts_csv", "accounts_json", "accounts_remove", "accounts_sweep"),
    *("api_profile", "api_profile_delete", "api_profile_preflight"),
    *("healthz", "readyz"),
    *("home", "icon", "me", "me_photo", "signin", "signin_callback", "signout", "style"),
    *("sweep", "sweep_slot"),
}


# Each room of shared/, and the rooms below it that it may use. The order is from the ground up: nothing looks upwards.
ROOMS = {
    "accounts": (),
    "clock": (),
    "errors": (),
    "telemetry": (),
    "error_codes": ("accounts",),
    "wording": ("accounts",),
    "sealing": ("errors",),
    "settings_parsers": (),
    "token_cache_schema": (),
    "settings": ("errors", "sealing", "settings_parsers"),
    "log_redaction": ("settings",),
    "session": ("accounts", "clock", "errors", "sealing", "settings"),
    "store": ("accounts", "errors"),
    "clients": ("clock", "errors", "settings", "telemetry"),
    "identity": (
        *("accounts", "clients", "clock", "error_codes", "errors", "sealing", "settings", "settings_parsers"),
        *("store", "telemetry", "token_cache_schema"),
    ),
    "monitoring": ("clients", "errors", "settings", "store"),
    "sweep_queue": ("clients", "store"),
    "services": (
        *("accounts", "clients", "clock", "identity", "log_redaction", "monitoring", "session", "settings", "store"),
    ),
    "web": (
        *("accounts", "clients", "error_codes", "errors", "identity", "services", "session", "telemetry", "wording"),
    ),
}


def modules(package: str) -> list[Path]:
    """The files of a deployed package."""
    folder = ROOT / package
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [ROOT / f"{package}.py"]


def imported(file: Path) -> Iterator[str]:
    """The top-level packages that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def rooms_imported(file: Path) -> Iterator[str]:
    """The rooms of shared/ that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "shared":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shared."):
            yield str(node.module).split(".")[1]


def existing(*packages: str) -> list[str]:
    """Those that are there."""
    return [each for each in packages if (ROOT / each).is_dir() or (ROOT / f"{each}.py").is_file()]


@pytest.mark.parametrize("package", existing(*DEPLOYED))
def test_what_is_deployed_imports_nothing_that_is_not(package: str) -> None:
    """localdev, bench, desktop and tests stay at home."""
    for file in modules(package):
        assert not set(imported(file)) & set(NEVER_DEPLOYED), file


@pytest.mark.parametrize("package", existing(*BLUEPRINTS))
def test_blueprint_folders_import_shared_and_themselves_only(package: str) -> None:
    """What two of them need lives in shared."""
    for file in modules(package):
        assert not set(imported(file)) & (set(BLUEPRINTS) - {package}), file


def test_shared_imports_no_blueprint() -> None:
    """Nor the app itself."""
    for file in modules("shared"):
        assert not set(imported(file)) & {*BLUEPRINTS, "function_app"}, file


def test_every_room_uses_only_the_rooms_below_it() -> None:
    """No cycle between packages, and no arrow that nobody decided on. A wall that nobody needs is taken out, too."""
    built: list[str] = []
    for room, below in ROOMS.items():
        assert set(below) <= set(built), f"{room} looks upwards"
        built.append(room)
        used = {other for file in modules(f"shared/{room}") for other in rooms_imported(file)} - {room}
        assert used == set(below), room
    there = {path.stem for path in (ROOT / "shared").iterdir() if path.suffix in ("", ".py")}
    assert there - {"__init__", "__pycache__"} == set(ROOMS)


def test_all_folders_with_triggers_are_known_here() -> None:
    """A new blueprint folder is added to the rules above."""
    with_triggers = {
        file.relative_to(ROOT).parts[0]
        for file in ROOT.glob("*/*.py")
        if file.relative_to(ROOT).parts[0] not in NEVER_DEPLOYED and "func.Blueprint()" in file.read_text("utf-8")
    }
    assert with_triggers <= set(BLUEPRINTS)


@pytest.mark.parametrize("package", existing(*DEPLOYED))
def test_the_environment_is_read_in_one_place(package: str) -> None:
    """shared/settings.py; everything else gets settings."""
    for file in modules(package):
        if file != ROOT / "shared" / "settings.py":
            text = file.read_text("utf-8")
            assert "os.environ" not in text, file
            assert "getenv" not in text, file


def test_every_function_is_registered(functions: tuple[IndexedFunction, ...]) -> None:
    """By name, as the host sees them."""
    assert {function.name for function in functions} == FUNCTIONS


def test_import_makes_no_client_and_reads_no_setting() -> None:
    """The app indexes without any setting, and without the network: in a process with an empty environment."""
    code = "import function_app; print(len(function_app.app.get_functions()))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"],
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == len(FUNCTIONS)


def test_no_test_module_imports_from_another() -> None:
    """What several need stands in a module of its own; fixtures are in conftest.py files and are never imported."""
    for file in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                name = (node.module or "").rpartition(".")[2]
                assert not name.startswith("test_"), file
                assert name != "conftest", file
