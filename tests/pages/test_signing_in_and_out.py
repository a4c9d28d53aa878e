"""What a person does in their browser: come, see, leave, be revoked, come back."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.pages.person import Person
from tests.running_app import RunningApp

ADA, BEN, DENIZ, EMI = (f"{name}@contoso.example" for name in ("ada", "ben", "deniz", "emi"))


def test_person_signs_in_and_sees_themselves(person: Person) -> None:
    """Through the tenant's page; name, mail and job title from Graph, and their photo."""
    page = person.sign_in(BEN)
    expect(page.get_by_role("heading", name="Ben Okafor")).to_be_visible()
    assert "Sales manager" in person.text()
    assert BEN in person.text()
    assert "Working for you while you are away" in person.text()
    assert "Read your profile" in person.text()
    assert person.photo_width() > 0


def test_person_without_a_photo_sees_their_initials(person: Person) -> None:
    """A picture all the same, and no broken one."""
    page = person.sign_in("chiara@contoso.example")
    assert person.photo_width() > 0
    picture = page.request.get("/me/photo", headers={"Accept": "image/svg+xml,image/*"})
    assert ">CR</text>" in picture.text()


def test_the_next_person_in_the_same_browser_does_not_get_the_last_ones_photo(person: Person) -> None:
    """Photos are kept a while by the browser, under another address for each person."""
    page = person.sign_in(BEN)
    first = page.locator(".photo").get_attribute("src")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("link", name="Sign in", exact=True).wait_for()
    person.go("/signin?prompt=select_account")
    person.finish_sign_in(EMI)
    assert page.locator(".photo").get_attribute("src") != first


def test_signing_out_deletes_everything(app: RunningApp, person: Person) -> None:
    """The button says so, and does it."""
    page = person.sign_in(EMI)
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    assert app.accounts() == []


def test_signing_out_can_keep_the_background_work(app: RunningApp, person: Person) -> None:
    """The session ends, the work goes on."""
    page = person.sign_in(EMI)
    page.get_by_role("button", name="Sign out, keep background work").click()
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}


def test_back_button_after_signing_out_shows_nothing_personal(person: Person) -> None:
    """The pages are not kept by the browser."""
    page = person.sign_in(BEN)
    page.get_by_role("link", name="Profile").click()
    page.get_by_role("heading", name="Ben Okafor").wait_for()
    page.get_by_role("link", name="Home").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("link", name="Sign in", exact=True).wait_for()
    for _ in range(3):
        page.go_back()
        assert "Okafor" not in person.text()
        assert BEN not in person.text()


def test_revoked_person_is_told_why_and_comes_back(app: RunningApp, person: Person) -> None:
    """One button, which asks the right person for the right thing; then all is well again."""
    page = person.sign_in(DENIZ)
    app.tenant.change_person(DENIZ, state="revoked")
    app.clock.move(minutes=6)
    assert app.counts() == {"sign_in_required": 1}
    person.go("/")
    expect(page.get_by_role("heading", name="Not working for you: please sign in again")).to_be_visible()
    assert "Your sign-in was revoked, or your password changed." in person.text()
    page.get_by_role("link", name="Sign in again").click()
    assert f"login_hint={DENIZ.replace('@', '%40')}" in page.url
    assert "prompt=login" in page.url
    person.finish_sign_in(DENIZ)
    expect(page.get_by_role("heading", name="Working for you while you are away")).to_be_visible()


def test_home_page_shows_what_was_done_and_how_it_went(
    start_app: Callable[..., RunningApp], open_browser: Callable[[RunningApp], Person]
) -> None:
    """The last times as a picture with the same in words, the last and the next time."""
    app = start_app(SESSION_IDLE="4h")
    person = open_browser(app)
    page = person.sign_in(EMI)
    for minutes in (6, 60):
        app.clock.move(minutes=minutes)
        app.sweep()
    app.tenant.add_fault("token", "status", status=503)
    app.clock.move(minutes=60)
    app.sweep()
    app.tenant.clear_faults()
    person.go("/")
    picture = page.get_by_role("img", name="The last 3 runs, oldest first: 2 of 3 went well.")
    expect(picture).to_be_visible()
    page.get_by_text("2 of the last 3 runs went well").click()
    assert "postponed: the sign-in service did not answer" in person.text()


def test_two_tabs_sign_in_side_by_side_and_sign_out_together(person: Person) -> None:
    """Each tab's flow is its own; a sign-out ends both."""
    first = person.page
    person.begin_sign_in()
    second = person.new_tab()
    person.begin_sign_in()
    person.finish_sign_in(ADA)
    person.page = first
    person.finish_sign_in(ADA)
    person.page = second
    person.go("/me").get_by_role("heading", name="Ada Lindqvist").wait_for()
    person.go("/").get_by_role("button", name="Sign out", exact=True).click()
    person.page = first
    person.go("/")
    expect(first.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    assert "Ada" not in person.text()


def test_signing_in_from_a_page_that_needs_it_leads_back_there(person: Person) -> None:
    """The refusal's button knows where the person wanted to go."""
    page = person.go("/me")
    page.get_by_role("link", name="Sign in", exact=True).click()
    person.finish_sign_in(BEN)
    assert page.url.endswith("/me")


def test_everything_can_be_done_with_the_keyboard(app: RunningApp, person: Person) -> None:
    """Sign in, look, sign out: Tab and Enter only, with the focus in sight."""
    page = person.go("/")
    press_until(person, "Sign in")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Sign in").wait_for()
    press_until(person, "Ben Okafor")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Accept").wait_for()
    press_until(person, "Accept")
    page.keyboard.press("Enter")
    page.get_by_role("navigation", name="Pages").wait_for()
    page.keyboard.press("Tab")
    assert focused(person) == "Skip to the content"
    page.keyboard.press("Enter")
    press_until(person, "Sign out")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    assert app.accounts() == []


def focused(person: Person) -> str:
    """The words on what has the focus; it must be in sight and outlined."""
    facts = person.page.evaluate(
        """() => {
            const at = document.activeElement, box = at.getBoundingClientRect();
            const words = at === document.body ? "" : at.innerText.trim();
            return [words, box.right > 0 && box.width > 0, getComputedStyle(at).outlineStyle];
        }"""
    )
    assert not facts[0] or facts[1:] == [True, "solid"] or not person.page.url.startswith(person.url)
    return str(facts[0])


def press_until(person: Person, words: str) -> None:
    """Tab, until what begins with `words` has the focus."""
    for _ in range(30):
        person.page.keyboard.press("Tab")
        if focused(person).split("\n")[0] == words:
            return
    raise AssertionError(f"{words!r} can't be reached")


def test_other_browsers_are_signed_out_too(app: RunningApp, open_browser: Callable[[RunningApp], Person]) -> None:
    """Both kinds of sign-out end every session of the person."""
    here, there = open_browser(app), open_browser(app)
    here.sign_in(EMI)
    there.sign_in(EMI)
    here.page.get_by_role("button", name="Sign out, keep background work").click()
    here.page.get_by_role("link", name="Sign in", exact=True).wait_for()
    there.go("/me")
    assert "Sign in to see this page" in there.text()
