"""Importing function_app.py."""

from pathlib import Path

import pytest

from localdev.host import AppLoadError, IndexingError, index
from tests.localdev.host_apps import loaded, write_app

ONE = """
@app.route(route="x")
def x(req: func.HttpRequest) -> str:
    return "x"
"""


def failure(folder: Path) -> str:
    """The message when the folder can't be loaded."""
    with pytest.raises(AppLoadError) as caught, loaded(folder):
        pass
    return str(caught.value)


def test_each_load_is_a_fresh_app(tmp_path: Path) -> None:
    """An app object can be indexed once only, so every host needs a new one."""
    write_app(tmp_path, ONE)
    with loaded(tmp_path) as first, loaded(tmp_path) as second:
        assert first is not second
        assert [one.name for one in index(first)] == [one.name for one in index(second)] == ["x"]


def test_indexing_one_app_twice_is_refused(tmp_path: Path) -> None:
    """azure-functions refuses it."""
    write_app(tmp_path, ONE)
    with loaded(tmp_path) as app:
        index(app)
        with pytest.raises(IndexingError, match="unique"):
            index(app)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    """The message has the folder that was searched."""
    assert failure(tmp_path) == f"no function_app.py in {tmp_path.resolve()}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import no_such_module\n", "No module named 'no_such_module'"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
        ("def (:\n", "SyntaxError"),
    ],
)
def test_an_import_error_is_told_with_its_place(tmp_path: Path, body: str, said: str) -> None:
    """The message has the traceback's last line, and the file and line of the developer's code."""
    write_app(tmp_path, body, header="")
    text = failure(tmp_path)
    assert said in text
    assert f"{tmp_path.resolve() / 'function_app.py'}, line 1" in text


def test_an_error_in_an_imported_module_is_told_there(tmp_path: Path) -> None:
    """The innermost of the developer's own files is named."""
    (tmp_path / "loading_part.py").write_text("\nraise ValueError('broken')\n", encoding="utf-8")
    write_app(tmp_path, "import loading_part\n", header="")
    assert failure(tmp_path).endswith(f"ValueError: broken ({tmp_path.resolve() / 'loading_part.py'}, line 2)")


def test_a_blueprint_must_not_share_its_name_with_a_function(tmp_path: Path) -> None:
    """The function would replace the blueprint."""
    shared = """
    sweep = func.Blueprint()

    @sweep.route(route="x")
    def sweep(req: func.HttpRequest) -> str:
        return "x"

    app.register_functions(sweep)
    """
    write_app(tmp_path, shared)
    assert "can't be imported" in failure(tmp_path)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("x = 1\n", "no FunctionApp"),
        ("import azure.functions as func\na = func.FunctionApp()\nb = func.FunctionApp()\n", "more than one.*: a, b"),
        ("import azure.functions as func\na = b = func.FunctionApp()\n", "more than one.*: a, b"),
    ],
)
def test_there_must_be_one_app_under_one_name(tmp_path: Path, body: str, said: str) -> None:
    """The worker counts names, so an alias is a second app."""
    write_app(tmp_path, body, header="")
    with pytest.raises(AppLoadError, match=said), loaded(tmp_path):
        pass
