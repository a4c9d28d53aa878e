"""Properties: no Cookie header breaks anything, and ours are found among all others."""

import base64
import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.accounts import Account, Person
from shared.session import Sessions, parse_cookies
from shared.settings import load

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = load(
    {
        "CLIENT_ID": "c",
        "CLIENT_SECRET": "s",
        "AUTHORITY": "https://login.microsoftonline.com/t",
        "BASE_URL": "https://app.example",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "ENCRYPTION_KEYS": "k1:" + base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("="),
    }
)
SESSIONS = Sessions(SETTINGS, now=lambda: NOW)
OURS = SESSIONS.start(Person("id", "ada"), Account(account_id="id", session_generation="g"))
HEADERS = st.text(max_size=300)


@given(header=HEADERS)
def test_any_header_is_parsed_without_an_error(header: str) -> None:
    """No parsed value is larger than a cookie can be."""
    cookies = parse_cookies(header)
    assert all(len(value) <= 4096 for value in cookies.values())
    assert SESSIONS.read(cookies) is None
    assert SESSIONS.read_flow(header, cookies) is None


@given(before=st.lists(st.text(st.characters(exclude_characters=";"), max_size=40)), after=HEADERS)
def test_ours_is_found_among_others(before: list[str], after: str) -> None:
    """It is found however odd other apps' cookies are."""
    others = [each for each in before if not each.strip().startswith(OURS.name)]
    header = "; ".join([*others, f"{OURS.name}={OURS.value}", after])
    session = SESSIONS.read(parse_cookies(header))
    assert session
    assert (session.account_id, session.generation) == ("id", "g")


@given(value=st.text(max_size=200))
def test_whatever_stands_in_our_cookies_is_no_session(value: str) -> None:
    """A value that we did not seal signs nobody in and raises nothing."""
    assert SESSIONS.read({OURS.name: value}) is None
    surplus = SESSIONS.keep_flow({"state": "s"}, "/", {f"{OURS.name}-flow-{n:012x}": value for n in range(6)})
    assert len([each for each in surplus if each.max_age == 0]) == 2


@given(content=st.recursive(st.none() | st.integers() | st.text(max_size=9), lambda each: st.lists(each, max_size=3)))
def test_a_session_of_another_version_is_no_session(content: object) -> None:
    """Sealed by us, but of another shape: an older or newer version of this app made it."""
    for sealed in (content, {"id": "x"}, {"id": content, "gen": "g"}):
        cookie = SETTINGS.key_ring.seal_text(json.dumps(sealed), purpose="session")
        assert SESSIONS.read({OURS.name: cookie}) is None
        flow = SETTINGS.key_ring.seal_text(json.dumps(sealed), purpose="sign-in-flow")
        name = SESSIONS.drop_flow("s").name
        assert SESSIONS.read_flow("s", {name: flow}) is None
