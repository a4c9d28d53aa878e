"""A damaged token cache is said to be unreadable and is left as it is. No command ends in a traceback."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msal import SerializableTokenCache

from shared.identity.token_caches import deserialize
from shared.token_cache_schema import check_token_cache
from tests.desktop.desk import BEN, Desk

NEEDED = [
    *(("Account", name) for name in ("home_account_id", "environment", "realm", "authority_type")),
    *(("AccessToken", name) for name in ("client_id", "secret", "target", "expires_on", "credential_type")),
    *(("IdToken", name) for name in ("home_account_id", "client_id", "secret", "credential_type")),
    *(("RefreshToken", name) for name in ("environment", "client_id", "secret", "credential_type")),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.text("0123456789", max_size=13),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
MISSING = object()
FIELDS = sorted({name for _, name in NEEDED} | {"username", "refresh_on", "last_modification_time", "token_type"})
DAMAGES = st.lists(
    st.tuples(
        st.sampled_from(["Account", "AccessToken", "IdToken", "RefreshToken", "AppMetadata"]),
        st.none() | st.sampled_from(FIELDS),
        st.just(MISSING) | JSON,
    ),
    min_size=1,
    max_size=3,
)


def signed_in(desk: Desk) -> dict[str, Any]:
    """The cache of somebody who is signed in."""
    desk.login(BEN)
    content: dict[str, Any] = json.loads(desk.cache_file.read_text())
    return content


def damage(content: dict[str, Any], section: str, field: str | None, value: object) -> dict[str, Any]:
    """The cache with one field of a section's entry, or the whole entry (None), missing or another value."""
    content = deepcopy(content)
    key = next(iter(content[section]), "gone")
    where, name = (content[section], key) if field is None else (content[section].get(key), field)
    if isinstance(where, dict):  # earlier damage may have replaced the entry, or taken it away
        where.pop(name, None)
        where |= {} if value is MISSING else {name: value}
    return content


def is_refused(desk: Desk, content: bytes) -> bool:
    """Do all commands call this cache unreadable, and leave it as it is?"""
    desk.cache_file.write_bytes(content)
    for argv in (["accounts"], ["token"], ["logout"], ["login", "--flow", "device-code"]):
        ran = desk.run(*argv, "--json")
        if (ran.code, ran.json["error"]["code"]) != (1, "cache_unreadable"):
            return False
    return desk.cache_file.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        b"no cache",
        b"[1, 2]",
        b"",
        b"\xff\xfe\x00",
        b'{"Account": []}',
        b'{"Account": {"a": 1}}',
        b"[" * 100_000,
        b'{"Other": {"a": {"b": ' + b"[" * 400 + b"]" * 400 + b"}}}",
    ],
    ids=["text", "list", "empty", "not-utf-8", "section", "entry", "deep", "deep-value"],
)
def test_a_file_that_is_no_cache_is_unreadable(desk: Desk, content: bytes) -> None:
    """Exit code 1; the file is not overwritten."""
    assert is_refused(desk, content)


@pytest.mark.parametrize(("section", "field"), NEEDED)
@pytest.mark.parametrize("value", [MISSING, 7], ids=["missing", "number"])
def test_an_entry_without_what_msal_needs_is_unreadable(desk: Desk, section: str, field: str, value: object) -> None:
    """Each field that MSAL reads without asking, missing or of a wrong type."""
    desk.cache_file.write_text(json.dumps(damage(signed_in(desk), section, field, value)))
    assert is_refused(desk, desk.cache_file.read_bytes())


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("AccessToken", "secret", "a\r\nb"),
        ("RefreshToken", "secret", "\ud800"),
        ("RefreshToken", "target", 7),
        ("RefreshToken", "last_modification_time", "yesterday"),
        ("AccessToken", "refresh_on", "soon"),
        ("IdToken", "realm", 7),
        ("Account", "username", 7),
        ("Account", "home_account_id", "\u0141"),
    ],
)
def test_a_value_that_msal_cannot_use_is_unreadable(desk: Desk, section: str, field: str, value: object) -> None:
    """It could not be sent, counted or joined to a key."""
    desk.cache_file.write_text(json.dumps(damage(signed_in(desk), section, field, value)))
    assert is_refused(desk, desk.cache_file.read_bytes())


def test_an_account_without_a_user_name_goes_by_its_id(desk: Desk) -> None:
    """Other SDKs may leave the name out."""
    for value in (MISSING, None, ""):
        content = damage(signed_in(desk), "Account", "username", value)
        desk.cache_file.write_text(json.dumps(content))
        (account,) = content["Account"].values()
        assert desk.run("accounts").out == account["home_account_id"] + "\n"
        assert desk.run("token", "--account", account["home_account_id"]).code == 0


def test_no_damage_ends_in_a_traceback(desk: Desk) -> None:
    """Property: whatever is missing or wrong, each command ends with one JSON object."""
    whole = signed_in(desk)

    @settings(max_examples=120, suppress_health_check=list(HealthCheck), deadline=None)
    @given(DAMAGES, st.booleans())
    def check(damages: list[tuple[str, str | None, object]], expired: bool) -> None:
        content = damage(whole, "AccessToken", "expires_on", "1") if expired else whole
        for section, field, value in damages:
            content = damage(content, section, field, value)
        desk.cache_file.write_text(json.dumps(content))
        for command in ("accounts", "token", "logout"):
            assert desk.run(command, "--json").json

    check()


@given(JSON | st.dictionaries(st.sampled_from(["Account", "AccessToken", "Other"]), JSON, max_size=2))
def test_both_sides_check_alike(content: object) -> None:
    """Property: what the check refuses the server refuses too, and what it allows MSAL reads and writes back."""
    text, cache = json.dumps(content), SerializableTokenCache()
    try:
        check_token_cache(text)
    except ValueError:
        with pytest.raises(ValueError, match=r".*"):
            deserialize(cache, text)
    else:
        deserialize(cache, text)
        assert list(cache.search("AccessToken")) is not None
        assert json.loads(cache.serialize()) == json.loads(text)
