"""A real browser, used as a person uses it: an installed Chromium. Without one these tests are skipped."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.pages.person import Person
from tests.running_app import RunningApp

_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium. Nothing is downloaded."""
    path = next((found for found in map(shutil.which, _NAMES) if found), None)
    if path is None:
        pytest.skip(f"no browser on PATH: none of {', '.join(_NAMES)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def open_browser(chromium: Browser) -> Iterator[Callable[[RunningApp], Person]]:
    """Opens a new browser: `open_browser(app)`. Anything that the browser complains about fails the test."""
    people: list[Person] = []

    def open_(app: RunningApp) -> Person:
        people.append(Person(chromium.new_context(base_url=app.url, locale="en-GB"), app.url))
        return people[-1]

    yield open_
    for person in people:
        person.context.close()
    assert [complaint for person in people for complaint in person.complaints] == []


@pytest.fixture
def person(app: RunningApp, open_browser: Callable[[RunningApp], Person]) -> Person:
    """A person at a browser, not signed in."""
    return open_browser(app)
