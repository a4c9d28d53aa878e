"""python -m localdev.settings_page: writes the table of docs/settings.md anew, from shared/settings.py."""

import re
from pathlib import Path

from shared.settings import documented

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
_TABLE = re.compile(r"(?<=<!-- made by localdev/settings_page.py -->\n).*?(?=<!-- end -->)", re.DOTALL)


def table() -> str:
    """A row for each setting, with its default in brackets, in their order in the code."""
    rows = ["| setting (default) | what it is |", "|---|---|"]
    for name, default, purpose in documented():
        shown = " (**required**)" if default == "required" else f" (`{default}`)" if default else ""
        rows.append(f"| `{name}`{shown} | {_escaped(purpose)} |")
    return "\n".join(rows) + "\n"


def page(text: str) -> str:
    """The page with the table as it should be. Raises ValueError when it has no place for one."""
    made, count = _TABLE.subn(lambda _: table(), text)
    if count != 1:
        raise ValueError("the page must have one place for the table")
    return made


def _escaped(purpose: str) -> str:
    return purpose.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
