"""Who may import whom, who reads the environment, and which functions there are: a forgotten registration is silent."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from localdev.host import IndexedFunction
from shared import errors
from shared.store.tables import wire
from tests.support import ROOT

BLUEPRINTS = ("graph_me", "health", "operators", "signin", "timer_worker", "web_api")
DEPLOYED = (*BLUEPRINTS, "shared", "tasks", "function_app")
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
    "clock": (),
    "accounts": ("clock",),
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
    "background": ("accounts", "clients", "errors", "store"),
    "monitoring": ("accounts", "clients", "errors", "settings", "store"),
    "sweep_queue": ("clients", "store"),
    "services": (
        *("accounts", "background", "clients", "clock", "identity", "log_redaction", "monitoring", "session"),
        *("settings", "store"),
    ),
    "web": (
        *("accounts", "clients", "error_codes", "errors", "identity", "services", "session", "telemetry", "wording"),
    ),
}


# Libraries that few files may use. Everything else goes through them.
ONLY_IN = {
    "azure.data.tables": ("shared/store/tables/", "shared/clients/storage.py", "shared/services.py"),
    "azure.storage": ("shared/clients/",),
    "msal": ("shared/identity/",),
}

# What the desktop client takes from shared/: leaves, which need neither Azure's SDK nor the settings.
DESKTOP_TAKES = {
    *("shared.clients.answers", "shared.clients.graph", "shared.clients.http", "shared.error_codes", "shared.errors"),
    *("shared.settings_parsers", "shared.token_cache_schema"),
}


def modules(package: str) -> list[Path]:
    """The files of a deployed package."""
    folder = ROOT / package
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [ROOT / f"{package}.py"]


def names_imported(source: str, package: Sequence[str] = ()) -> Iterator[str]:
    """The full dotted names that this source imports, wherever in it: `from a import b` is `a.b`.

    Args:
        package: the parts of its package's name, by which relative imports are resolved.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            start = [*base, *([node.module] if node.module else [])]
            yield from (".".join([*start, alias.name]) for alias in node.names)


def names_in(file: Path) -> set[str]:
    """The full dotted names that a file imports."""
    return set(names_imported(file.read_text("utf-8"), file.relative_to(ROOT).parent.parts))


def imported(file: Path) -> set[str]:
    """The top-level packages that a file imports."""
    return {name.split(".")[0] for name in names_in(file)}


def rooms_imported(file: Path) -> set[str]:
    """The rooms of shared/ that a file imports; "" is shared itself, through which it would see all of them."""
    return {(*name.split("."), "")[1] for name in names_in(file) if name.split(".")[0] == "shared"}


def is_within(name: str, modules: Iterable[str]) -> bool:
    """Is this one of the modules, or something in one of them?"""
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


def files_of(*packages: str) -> list[Path]:
    """The files of several packages."""
    return [file for package in packages for file in modules(package)]


def existing(*packages: str) -> list[str]:
    """Those that are there."""
    return [each for each in packages if (ROOT / each).is_dir() or (ROOT / f"{each}.py").is_file()]


@pytest.mark.parametrize("package", existing(*DEPLOYED))
def test_what_is_deployed_imports_nothing_that_is_not(package: str) -> None:
    """localdev, bench, desktop and tests stay at home."""
    for file in modules(package):
        assert not imported(file) & set(NEVER_DEPLOYED), file


@pytest.mark.parametrize("package", existing(*BLUEPRINTS))
def test_blueprint_folders_import_shared_and_themselves_only(package: str) -> None:
    """What two of them need lives in shared."""
    for file in modules(package):
        assert not imported(file) & (set(BLUEPRINTS) - {package}), file


def test_shared_imports_no_blueprint() -> None:
    """Nor the app itself."""
    for file in modules("shared"):
        assert not imported(file) & {*BLUEPRINTS, "function_app"}, file


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


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import shared.telemetry", "shared.telemetry"),
        ("import shared.telemetry as t", "shared.telemetry"),
        ("from shared import telemetry", "shared.telemetry"),
        ("from shared.telemetry import sweep", "shared.telemetry.sweep"),
        ("from .. import telemetry", "shared.telemetry"),
        ("from ..telemetry import sweep", "shared.telemetry.sweep"),
        ("from . import memory", "shared.store.memory"),
        ("from ... import signin", "signin"),
        ("def f():\n    from .. import telemetry", "shared.telemetry"),
        ("if x:\n    import shared.telemetry", "shared.telemetry"),
    ],
)
def test_every_form_of_import_is_seen(source: str, name: str) -> None:
    """In a module of shared/store, at its top and inside a function."""
    assert list(names_imported(source, ("shared", "store"))) == [name]


@pytest.mark.parametrize("library", ONLY_IN)
def test_few_files_use_a_service_s_library(library: str) -> None:
    """The account store alone makes Table calls, the storage account's clients come from one room, and MSAL is called
    in one room. A place that needs the library no longer is taken out."""
    using = {
        file.relative_to(ROOT).as_posix()
        for file in files_of(*DEPLOYED)
        if any(is_within(name, [library]) for name in names_in(file))
    }
    assert {file for file in using if not file.startswith(ONLY_IN[library])} == set()
    assert [place for place in ONLY_IN[library] if not any(file.startswith(place) for file in using)] == []


@pytest.mark.parametrize("module", ["checks", "memory", "protocol", "slots"])
def test_the_protocol_and_the_store_in_memory_know_nothing_of_tables(module: str) -> None:
    """The protocol is what every store has in common."""
    names = names_in(ROOT / "shared" / "store" / f"{module}.py")
    assert {name for name in names if is_within(name, ["shared.store", "azure"])} <= {
        name
        for name in names
        if is_within(name, ["shared.store.checks", "shared.store.protocol", "shared.store.slots"])
    }


def test_the_wire_is_used_through_its_package() -> None:
    """Outside shared/store/tables/wire only what its package exports is used."""
    exported = {f"shared.store.tables.wire.{name}" for name in wire.__all__}
    for file in files_of(*DEPLOYED):
        if (ROOT / "shared/store/tables/wire") not in file.parents:
            tree = ast.parse(file.read_text("utf-8"))
            used = {
                f"shared.store.tables.wire.{node.attr}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "wire"
            }
            used |= {name for name in names_in(file) if name.startswith("shared.store.tables.wire.")}
            assert used <= exported, file


def test_the_desktop_client_takes_leaves_only() -> None:
    """It runs without the settings of the app, and without Azure's SDK."""
    names = {name for file in modules("desktop") for name in names_in(file) if is_within(name, ["shared"])}
    assert {name for name in names if not is_within(name, DESKTOP_TAKES)} == set()
    assert {leaf for leaf in DESKTOP_TAKES if not any(is_within(name, [leaf]) for name in names)} == set()


def reads_the_environment(source: str) -> bool:
    """Does this source look at the process's environment variables?"""
    doors = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    return any(
        (isinstance(node, ast.Attribute) and node.attr in doors)
        or (isinstance(node, ast.ImportFrom) and node.module in ("os", "posix", "nt") and _names(node) & {*doors, "*"})
        for node in ast.walk(ast.parse(source))
    )


def _names(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['X']",
        "import os\nos.getenv('X')",
        "import os as o\no.environ",
        "from os import environ as e",
        "def f():\n    from os import getenv",
        "from os import *",
    ],
)
def test_every_way_to_the_environment_is_seen(source: str) -> None:
    """Also in a function, and under another name."""
    assert reads_the_environment(source)


def test_the_environment_is_read_in_one_place() -> None:
    """shared/settings.py; everything else gets settings."""
    reading = {
        file.relative_to(ROOT).as_posix()
        for file in files_of(*DEPLOYED)
        if reads_the_environment(file.read_text("utf-8"))
    }
    assert reading == {"shared/settings.py"}


def test_every_broad_catch_is_named_in_the_error_tree() -> None:
    """`except Exception` stands in few places, and shared/errors.py says which."""
    catching = {
        file.relative_to(ROOT).as_posix()
        for file in files_of(*DEPLOYED)
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler) and catches_everything(node)
    }
    named = set(re.findall(r"\(([\w/]+\.py)\)", (errors.__doc__ or "").partition("`except Exception`")[2]))
    assert {name if (ROOT / name).is_file() else f"shared/{name}" for name in named} == catching


def catches_everything(handler: ast.ExceptHandler) -> bool:
    """Is this `except:`, `except Exception` or `except BaseException`, alone or among others? One that ends with a bare
    `raise` only tidies up."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    broad = any(kind is None or ast.unparse(kind) in ("Exception", "BaseException") for kind in kinds)
    last = handler.body[-1]
    return broad and not (isinstance(last, ast.Raise) and last.exc is None)


def test_what_stands_outside_the_error_tree_is_named_in_it() -> None:
    """Every exception class of ours that starts a tree of its own is in the module's text."""
    roots = {
        node.name
        for file in files_of(*DEPLOYED)
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
        and {ast.unparse(base) for base in node.bases} & {"Exception", "RequestException"}
    }
    assert roots <= set(re.findall(r"\w+", errors.__doc__ or ""))


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
        for name in names_in(file):
            for part in name.split(".") if name.startswith("tests.") else ():
                assert not part.startswith("test_"), file
                assert part != "conftest", file
