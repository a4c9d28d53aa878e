"""What a person does in a browser: sign in, look, sign out, be revoked, come back."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.failing_store import failing_store
from tests.pages.gallery import PAGES
from tests.pages.person import Person
from tests.running_app import RunningApp

ADA, BEN, DENIZ, EMI = (f"{name}@contoso.example" for name in ("ada", "ben", "deniz", "emi"))


def test_person_signs_in_and_sees_themselves(person: Person) -> None:
    """Ada signs in at the tenant's page and sees name, mail, job title and photo from Graph."""
    page = person.sign_in(BEN)
    expect(page.get_by_role("heading", name="Ben Okafor")).to_be_visible()
    assert "Sales manager" in person.text()
    assert BEN in person.text()
    assert "Working for you while you are away" in person.text()
    assert "Read your profile" in person.text()
    assert person.photo_width() > 0


def test_person_without_a_photo_sees_their_initials(person: Person) -> None:
    """There is a picture, and it is not broken."""
    page = person.sign_in("chiara@contoso.example")
    assert person.photo_width() > 0
    picture = page.request.get("/me/photo", headers={"Accept": "image/svg+xml,image/*"})
    assert ">CR</text>" in picture.text()


def test_the_next_person_in_the_same_browser_does_not_get_the_last_ones_photo(person: Person) -> None:
    """The browser caches photos, under a different address for each person."""
    page = person.sign_in(BEN)
    first = page.locator(".photo").get_attribute("src")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("link", name="Sign in", exact=True).wait_for()
    person.go("/signin?prompt=select_account")
    person.finish_sign_in(EMI)
    assert page.locator(".photo").get_attribute("src") != first


def test_signing_out_deletes_everything(app: RunningApp, person: Person) -> None:
    """The button says so, and the row is gone."""
    page = person.sign_in(EMI)
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    assert app.accounts() == []


def test_signing_out_can_keep_the_background_work(app: RunningApp, person: Person) -> None:
    """The session ends and the work continues."""
    page = person.sign_in(EMI)
    page.get_by_role("button", name="Sign out, keep background work").click()
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 1}


def test_back_button_after_signing_out_shows_nothing_personal(person: Person) -> None:
    """The browser stores no page."""
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


def test_back_button_after_signing_in_leads_home(app: RunningApp, person: Person) -> None:
    """Ada goes back to the tenant's page, which knows her by now and sends her to the callback once more. The flow is
    used: she gets her page and keeps her session."""
    page = person.sign_in(ADA)
    session = cookie_of(person)
    with page.expect_response("**/signin/callback?*") as second:
        page.evaluate("history.go(-2)")
    assert second.value.headers["location"] == "/"
    expect(page.get_by_role("heading", name="Ada Lindqvist")).to_be_visible()
    assert page.url == f"{person.url}/"
    assert cookie_of(person) == session
    assert app.tenant.log()["codes_redeemed"] == 1


def test_two_tabs_on_one_sign_in_end_on_the_persons_page(app: RunningApp, person: Person) -> None:
    """A tab was duplicated at the tenant's page. The first to return signs in, the second is led home."""
    person.begin_sign_in()
    first = person.page
    second = person.new_tab()
    second.goto(first.url)
    for tab in (first, second):
        person.page = tab
        person.finish_sign_in(ADA)
        expect(tab.get_by_role("heading", name="Ada Lindqvist")).to_be_visible()
    assert app.tenant.log()["codes_redeemed"] == 1


def test_callback_of_one_tab_opened_in_another_is_a_page_until_somebody_is_signed_in(person: Person) -> None:
    """An address of a sign-in that is over, typed by somebody without a session, says so and offers a new start."""
    page = person.sign_in(ADA)
    used: list[str] = []
    page.on("request", lambda request: used.append(request.url) if "/signin/callback" in request.url else None)
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("link", name="Sign in", exact=True).click()
    page.get_by_role("navigation", name="Pages").wait_for()
    person.go(used[0])
    expect(page.get_by_role("heading", name="Ada Lindqvist")).to_be_visible()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("link", name="Sign in", exact=True).wait_for()
    person.go(used[0])
    expect(page.get_by_role("heading", name="This sign-in can't be finished here")).to_be_visible()
    page.get_by_role("link", name="Start again").click()
    expect(page.get_by_role("heading", name="Ada Lindqvist")).to_be_visible()


def test_typed_address_asks_who_the_button_does_not(app: RunningApp, person: Person) -> None:
    """Ada has signed out of this app, not of the tenant. `/signin` in the address bar brings her row back only after a
    click of hers; the button on our page is that click."""
    page = person.sign_in(ADA)
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("link", name="Sign in", exact=True).wait_for()
    person.go("/signin")
    expect(page.get_by_role("button", name=ADA)).to_be_visible()
    assert app.accounts() == []
    person.go("/").get_by_role("link", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Ada Lindqvist")).to_be_visible()


def test_sign_out_that_the_storage_did_not_let_through_can_be_finished(app: RunningApp, person: Person) -> None:
    """The page says what goes on. Its button deletes the data when the storage is back."""
    page = person.sign_in(EMI)
    storage = app.services.store
    app.services.store = failing_store(storage, ["delete"])
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Your sign-out isn't finished")).to_be_visible()
    assert "until it is deleted, the work in your name goes on" in person.text()
    assert cookie_of(person) == ""
    app.services.store = storage
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()
    assert app.accounts() == []


def cookie_of(person: Person) -> str:
    """The session's cookie; "" when the browser has none."""
    values = {str(cookie.get("name")): str(cookie.get("value")) for cookie in person.context.cookies()}
    return values.get("understudy", "")


def test_revoked_person_is_told_why_and_comes_back(app: RunningApp, person: Person) -> None:
    """One button asks the right person for the right thing. Afterwards the work continues."""
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
    """The page shows the history as a picture and in words, and the last and the next time."""
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
    """Each tab has its own flow, and a sign-out ends both sessions."""
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
    """The refusal's button leads back to the page that the person wanted."""
    page = person.go("/me")
    page.get_by_role("link", name="Sign in", exact=True).click()
    person.finish_sign_in(BEN)
    assert page.url.endswith("/me")


def test_everything_can_be_done_with_the_keyboard(app: RunningApp, person: Person) -> None:
    """Tab and Enter are enough to sign in, look and sign out, and the focus is always visible."""
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


def test_an_odd_row_is_removed_with_the_keyboard(
    start_app: Callable[..., RunningApp], open_browser: Callable[[RunningApp], Person]
) -> None:
    """An operator opens its disclosure, presses the button, and is told what happened."""
    exhibit = PAGES["accounts-odd-rows"]
    app = start_app(**exhibit.settings)
    operator = open_browser(app)
    exhibit.visit(app, operator)
    page = operator.go("/accounts?show=odd")
    press_until(operator, "Remove…")
    page.keyboard.press("Enter")
    press_until(operator, "Delete this row")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Removed.")
    assert len(app.services.store.list_accounts(odd=True).odd) == 1


def focused(person: Person) -> str:
    """The text of the focused element, which must be visible and outlined."""
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
    """Presses Tab until an element that begins with `words` has the focus."""
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
