"""python -m localdev.settings_page: rewrites the table of docs/settings.md from shared/settings.py and the tasks."""

import re
from pathlib import Path

from shared.settings import documented
from tasks import TASKS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
_TABLE = re.compile(r"(?<=<!-- made by localdev/settings_page.py -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table() -> str:
    """A row for each setting, with its default in brackets, in their order in the code."""
    rows = ["| setting (default) | what it is |", "|---|---|"]
    for name, default, purpose in documented():
        shown = " (**required**)" if default == "required" else f" (`{default}`)" if default else ""
        rows.append(f"| `{name}`{shown} | {_escaped(purpose)} |")
    rows += [f"| `{name}` | of the task `{task.name}` |" for task in TASKS for name in task.settings]
    return "\n".join(rows) + "\n"


def page(text: str) -> str:
    """Returns the page with the current table. Raises ValueError when the page has no place for it."""
    made, count = _TABLE.subn(lambda _: table(), text)
    if count != 1:
        raise ValueError("the page must have one place for the table")
    return made


def _escaped(purpose: str) -> str:
    return purpose.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
