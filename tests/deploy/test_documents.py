"""What the documents say is what the code does: settings, log lines, metrics, links, commands."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import dev
from localdev import settings_page
from tests.support import ROOT, ignored

DEPLOYED = [entry for entry in ROOT.iterdir() if entry.is_dir() and not ignored(entry.name, ".funcignore")]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
QUIET = ("debug",)


def placed(format: str) -> str:
    """A log line's format with … for each value, as the runbook has it."""
    return re.sub(r"…+", "…", re.sub(r"%[-.\d]*[a-z]", "…", format))


def log_lines() -> Iterator[str]:
    """Every line that the deployed code logs from INFO on."""
    for folder in DEPLOYED:
        for file in sorted(folder.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and _logs(node.func):
                    yield from (_text(argument) for argument in node.args[:2] if _text(argument))


def _logs(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        of_logger = isinstance(function.value, ast.Name) and function.value.id == "logger"
        return of_logger and function.attr not in QUIET
    return isinstance(function, ast.Name) and function.id == "log"


def _text(argument: ast.expr) -> str:
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else ""


def test_every_log_line_is_in_the_runbook() -> None:
    """What it means, and what to do."""
    lines = {placed(line) for line in log_lines()}
    assert len(lines) > 5
    runbook = re.sub(r"…+", "…", OPERATIONS)
    assert sorted(line for line in lines if f"`{line}`" not in runbook) == []


def test_the_runbook_has_no_line_that_nobody_logs() -> None:
    """What was renamed is renamed there, too."""
    table = OPERATIONS.split("## Log lines")[1].split("Why a sweep stopped early")[0]
    told = {re.sub(r"…+", "…", line) for line in re.findall(r"^\| `(.+?)` \|", table, flags=re.MULTILINE)}
    assert sorted(told - {placed(line) for line in log_lines()}) == []


def test_settings_page_is_what_the_code_reads() -> None:
    """`python -m localdev.settings_page` writes it anew."""
    text = settings_page.PAGE.read_text("utf-8")
    assert settings_page.page(text) == text


def test_metrics_and_spans_are_documented() -> None:
    """By the names under which they are exported."""
    names = re.findall(r'"(understudy\.[\w.]+)"', (ROOT / "shared" / "telemetry.py").read_text("utf-8"))
    assert len(names) >= 5
    assert [name for name in names if f"`{name}`" not in OPERATIONS] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Files and folders of this project."""
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def blocks(page: Path) -> Iterator[tuple[bool, list[str]]]:
    """The page's shell blocks: is it marked with what it needs? And its commands."""
    found = re.finditer(
        r"(<!-- needs: [^>]+ -->\n)?^```(?:sh|bash|console)\n(.*?)^```",
        page.read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    for block in found:
        yield bool(block[1]), block[2].replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_run_by_a_test_or_says_what_it_needs(page: Path) -> None:
    """dev.py's commands are run by tests/test_dev.py and tests/localdev, .ci/versions.py by CI; all else is marked."""
    for marked, commands in blocks(page):
        if marked:
            continue
        for command in commands:
            words = [word for word in shlex.split(command, comments=True) if not re.match(r"[A-Z_]+=", word)]
            known = words[:2] == ["python3", "dev.py"] and words[2] in dev.COMMANDS
            assert known or words == ["python3", ".ci/versions.py"] or runs_a_module(words), command


def runs_a_module(words: list[str]) -> bool:
    """`.venv/bin/python -m …` with a module of this project."""
    module = ROOT / words[2].replace(".", "/") if words[:2] == [".venv/bin/python", "-m"] else ROOT / "nowhere"
    return module.with_suffix(".py").is_file() or (module / "__main__.py").is_file()


@pytest.mark.parametrize("name", ["extensions", "launch", "tasks"])
def test_vscode_files_are_json_and_name_what_exists(name: str) -> None:
    """Their modules and commands are ours."""
    content = json.loads((ROOT / ".vscode" / f"{name}.json").read_text("utf-8"))
    labels = [task["label"] for task in json.loads((ROOT / ".vscode" / "tasks.json").read_text("utf-8"))["tasks"]]
    for configuration in content.get("configurations", []):
        module = configuration.get("module", "pytest")
        assert module == "pytest" or (ROOT / module.replace(".", "/")).is_dir()
        assert configuration.get("preLaunchTask", labels[0]) in labels
    for task in content.get("tasks", []):
        command = task["command"].split()
        assert command[0] != "python3" or (command[1] == "dev.py" and command[2] in dev.COMMANDS)
