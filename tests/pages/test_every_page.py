"""What holds for every page: accessible, light or dark, usable on a phone, small, and without anything from other
sites."""

import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, Route

from tests.pages.gallery import PAGES
from tests.pages.person import Person
from tests.running_app import RunningApp

MOST_BYTES = 60 * 1024
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NARROW = {"width": 320, "height": 640}


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's source, from its package."""
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


@pytest.fixture(params=sorted(PAGES))
def seen(
    request: pytest.FixtureRequest,
    start_app: Callable[..., RunningApp],
    open_browser: Callable[[RunningApp], Person],
) -> Person:
    """A person who looks at a page, one per exhibit."""
    exhibit = PAGES[request.param]
    app = start_app(**exhibit.settings)
    person = open_browser(app)
    exhibit.visit(app, person)
    return person


def test_page_is_for_everybody_small_and_of_one_piece(seen: Person, axe: str) -> None:
    """One visit checks everything, because a visit is expensive."""
    page = seen.page
    page.wait_for_load_state("load")
    assert sum(seen.weights.values()) <= MOST_BYTES, seen.weights
    page.evaluate(axe)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], scheme
        assert "TypeError" not in page.content()
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert violations(page) == [], "narrow"
    assert seen.source
    check_source(seen.source.text())


def violations(page: Page) -> list[tuple[str, str]]:
    """What axe-core finds, with disclosures open too."""
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    found: list[dict[str, Any]] = page.evaluate(
        "rules => axe.run({ runOnly: rules }).then(all => all.violations)", RULES
    )
    return [(each["id"], node["html"]) for each in found for node in each["nodes"]]


def check_source(source: str) -> None:
    """The page needs no exception from the content security policy and loads nothing from other sites."""
    assert source.startswith("<!doctype html>")
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:", source)
    assert not re.search(r'(src|href)="(?!/|#)', source)
    assert "None" not in source
    assert "Undefined" not in source


def test_nothing_moves_while_the_photo_loads(person: Person) -> None:
    """The page reserves the photo's place: layout shift is zero."""
    page = person.sign_in("ben@contoso.example")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/me/photo*", hold)
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver(list => list.getEntries().forEach(each => { shift += each.value; }))"
        ".observe({ type: 'layout-shift', buffered: true });"
    )
    page.reload(wait_until="domcontentloaded")
    place = "each => JSON.stringify(each.getBoundingClientRect())"
    before = [page.locator(what).first.evaluate(place) for what in (".photo", "h1", ".card")]
    held[0].continue_()
    assert person.photo_width() > 0
    assert [page.locator(what).first.evaluate(place) for what in (".photo", "h1", ".card")] == before
    assert page.evaluate("window.shift") == 0
