"""The list of guards is up to date, and a guard that no test misses is found; `python3 dev.py guards` tries all."""

from pathlib import Path

import pytest

from tests.security.guards import GUARDS, Guard, applied
from tests.security.mutants import mutants_of
from tests.security.mutation import MODULES, Module, SuiteFails, harmless_in, try_module
from tests.support import ROOT


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_guard_is_where_the_list_says(guard: Guard) -> None:
    """Its code occurs once, the file without it is still Python, and its test exists."""
    text = (ROOT / guard.file).read_text("utf-8")
    compile(applied(guard, text), guard.file, "exec")
    file, test = guard.test.split("::")
    assert f"def {test}(" in (Path(__file__).parent / file).read_text("utf-8")


def test_there_are_at_least_ten_guards() -> None:
    """Each has its own name."""
    assert len({guard.name for guard in GUARDS}) == len(GUARDS) >= 10


DOOR = """
def door(name, age, log):
    if not name.strip() or age < 18:
        raise PermissionError
    log.append(name[:60])
    return [each for each in log if each]
"""
TESTS = """
import threading
import pytest
from shared.door import door

def test_children_stay_outside():
    with pytest.raises(PermissionError):
        door("ada", 17, [])

def test_grown_ups_come_in():
    log = []
    thread = threading.Thread(target=door, args=("ada", 18, log))
    thread.start()
    thread.join()
    assert log == ["ada"]
"""


def project_of(folder: Path, tests: str) -> Path:
    """A project with one door and its tests."""
    for name, text in (("shared/door.py", DOOR), ("tests/test_door.py", tests)):
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    for name in (
        "tests/support.py",
        "tests/security/mutants.py",
        "tests/security/mutation.py",
        "tests/security/reach.py",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text((ROOT / name).read_text("utf-8"))
    return folder


def test_mutants_are_each_condition_part_filter_call_and_cut() -> None:
    """Each is named by its function, its code, and what stands in its place."""
    assert [str(mutant) for mutant in mutants_of(DOOR)] == [
        "door: `not name.strip()` → `False`",
        "door: `not name.strip() or age < 18` → `False`",
        "door: `not name.strip() or age < 18` → `not …`",
        "door: `name.strip()` → `name`",
        "door: `age < 18` → `False`",
        "door: `log.append(name[:60])` → `pass`",
        "door: `name[:60]` → `name`",
        "door: `each` → `True`",
    ]


def test_guards_that_no_test_misses_are_found(tmp_path: Path) -> None:
    """A guard counts as missed when one test fails without it, in whatever thread the test gets there."""
    tried = {"age < 18": True, "name[:60]": False}
    verdicts = try_module(
        Module("shared/door.py", ("tests/test_door.py",)),
        project=project_of(tmp_path, TESTS),
        wanted=lambda mutant: mutant.code in tried,
        at_a_time=1,
    )
    assert {each.mutant.code: each.missed for each in verdicts} == tried


def test_tests_that_fail_anyway_say_nothing_about_guards(tmp_path: Path) -> None:
    """Every guard would count as missed."""
    module = Module("shared/door.py", ("tests/test_door.py",))
    with pytest.raises(SuiteFails, match="assert False"):
        list(try_module(module, project=project_of(tmp_path, "def test_it():\n    assert False\n"), at_a_time=1))


def test_limit_of_a_body_is_missed() -> None:
    """One guard of this app. `python3 dev.py guards` tries the others."""
    (verdict,) = try_module(
        MODULES["limits"],
        wanted=lambda mutant: "get_body" in mutant.code and mutant.instead == "False",
        at_a_time=1,
    )
    assert verdict.missed


def test_modules_and_their_tests_exist() -> None:
    """A renamed file would be tried no more."""
    for module in MODULES.values():
        assert [file for file in (module.file, *module.tests) if not (ROOT / file).is_file()] == []


def test_harmless_guards_are_still_there() -> None:
    """A row of docs/security.md whose guard is gone goes, too."""
    rows = harmless_in((ROOT / "docs/security.md").read_text("utf-8"))
    assert rows
    for file, mutant in rows:
        assert mutant in {str(each) for each in mutants_of((ROOT / file).read_text("utf-8"))}, (file, mutant)
