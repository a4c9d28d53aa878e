"""docs/sample-tenant.md says what the sample tenant, Graph and API take."""

import ast
import re

from localdev.control.commands import Commands
from localdev.control.data_commands import DataCommands
from localdev.control.endpoint import Control
from localdev.graph.routes import PATHS
from localdev.tenant import SampleTenant
from localdev.tenant.faults import KINDS, PLACES
from localdev.tenant.tenancy import Tenancy
from tests.support import ROOT

_PAGE = (ROOT / "docs" / "sample-tenant.md").read_text("utf-8")


def _rows(heading: str) -> dict[str, str]:
    """The first two cells of the tables under a heading, without code marks in the first."""
    section = _PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(.+?)` \| (.+?) \|$", section, re.MULTILINE))


def test_names_every_graph_call_and_its_permissions() -> None:
    """In the order of the code, and no other."""
    known = {
        f"{method} {path}": ", ".join(f"`{each}`" for each in way.scopes)
        for path, ways in PATHS.items()
        for method, way in ways.items()
    }
    assert _rows("Microsoft Graph") == known


def test_names_every_command() -> None:
    """Method and path of the control API, and no other."""
    tenancy = Tenancy(folder=None, clock=lambda: 0.0, redirect_uris=(), keep_secrets=False)
    routes = Control(Commands(tenancy), DataCommands(tenancy)).routes()
    known = {f"{method} {route.path}" for route in routes for method in route.methods or () if method != "HEAD"}
    assert {each for each in _rows("The control API") if "/" in each} == known


def test_names_every_fault() -> None:
    """Its places and kinds."""
    assert {each for each in _rows("The control API") if "/" not in each} == set(KINDS)
    assert all(f"`{each}`" in _PAGE for each in PLACES)


def test_its_python_runs(tenant: SampleTenant) -> None:
    """As printed; and the API's address is the one in the page."""
    (block,) = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(ast.parse(block), "docs/sample-tenant.md", "exec"), names)  # noqa: S102  # our own page
    assert isinstance(names["settings"], dict)
    assert f"`{tenant.sample_api}`" in _PAGE
