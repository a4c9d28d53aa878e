"""Makes docs/images anew: a picture of every page. Not a part of the test run; made on request by

python3 dev.py test tests/pages/make_images.py
"""

from collections.abc import Callable
from typing import Literal

import pytest

from tests.pages.gallery import PAGES
from tests.pages.person import Person
from tests.pages.small_png import smaller
from tests.running_app import RunningApp
from tests.support import ROOT

IMAGES = ROOT / "docs" / "images"
WIDE, PHONE = (960, 400), (360, 400)
Scheme = Literal["light", "dark"]
# Some pages in the dark and on a phone too.
PICTURES: list[tuple[str, str, tuple[int, int], Scheme]] = [
    *((name, name, WIDE, "light") for name in PAGES),
    *((f"{name}-dark", name, WIDE, "dark") for name in ("home", "accounts")),
    *((f"{name}-phone", name, PHONE, "light") for name in ("home", "accounts")),
]


@pytest.mark.parametrize(("picture", "name", "size", "scheme"), PICTURES, ids=[each[0] for each in PICTURES])
def test_picture(
    picture: str,
    name: str,
    size: tuple[int, int],
    scheme: Scheme,
    start_app: Callable[..., RunningApp],
    open_browser: Callable[[RunningApp], Person],
) -> None:
    """One page as a person sees it."""
    exhibit = PAGES[name]
    app = start_app(**exhibit.settings)
    person = open_browser(app)
    person.page.set_viewport_size({"width": size[0], "height": size[1]})
    person.page.emulate_media(color_scheme=scheme)
    exhibit.visit(app, person)
    if name == "accounts":  # a short list is enough to see it
        person.go("/accounts?top=8")
    person.page.wait_for_load_state("networkidle")
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / f"{picture}.png").write_bytes(smaller(person.page.screenshot(full_page=True)))
