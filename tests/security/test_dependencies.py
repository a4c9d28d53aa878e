"""What is deployed: exact versions, by hash, of packages that constraints.txt says work together."""

import re

from tests.support import ROOT

_PIN = re.compile(
    r"(?P<name>[\w.-]+)==(?P<version>[\w.]+)(?: ; (?P<marker>[^\\]+?))?"
    r"(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n"
)


def lines(name: str) -> list[str]:
    """A requirements file without comments."""
    text = (ROOT / name).read_text("utf-8")
    return [line for line in text.splitlines() if line and line[0] not in "#-"]


def normal(name: str) -> str:
    """A package's name as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[><=;\s]", name)[0]).lower()


def pinned() -> list[re.Match[str]]:
    """Every pin of requirements.txt."""
    return list(_PIN.finditer((ROOT / "requirements.txt").read_text("utf-8")))


def test_everything_deployed_has_a_version_and_hashes() -> None:
    """Nothing in the file but pins with hashes: pip then refuses whatever else comes."""
    text = (ROOT / "requirements.txt").read_text("utf-8")
    rest = _PIN.sub("", text)
    assert not [line for line in rest.splitlines() if line and not line.startswith("#")]
    assert len(pinned()) > 15


def test_every_requirement_is_among_them() -> None:
    """requirements.in was locked after its last change."""
    assert {normal(line) for line in lines("requirements.in")} <= {normal(pin["name"]) for pin in pinned()}


def test_deployed_versions_are_those_that_were_tested() -> None:
    """The same as in constraints.txt."""
    tested = {(normal(line), line.split(";")[0].split("==")[1].strip()) for line in lines("constraints.txt")}
    assert {(normal(pin["name"]), pin["version"]) for pin in pinned()} <= tested


def test_both_lines_of_the_programming_model_are_there() -> None:
    """azure-functions 1.x up to Python 3.12, 2.x from 3.13 on."""
    markers = {pin["version"][0]: pin["marker"].strip() for pin in pinned() if pin["name"] == "azure-functions"}
    assert "<" in markers["1"]
    assert ">=" in markers["2"]


def test_no_registry_is_named() -> None:
    """Packages come from wherever pip is told to look; the hashes say whether they are right."""
    text = (ROOT / "requirements.txt").read_text("utf-8")
    assert "://" not in text
    assert "index" not in text.replace("--no-emit-index-url", "")
