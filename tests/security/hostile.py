"""What strangers send: cookies that were changed, borrowed or made up, repeated parameters, false headers."""

import base64
from urllib.parse import urlencode

from hypothesis import strategies as st

from shared.sealing import KeyRing, new_key

_NAMES = ["understudy", "__Secure-understudy", "understudy-flow-0123456789ab", "other"]
_PARAMETERS = [
    *("state", "code", "error", "error_description", "session_state", "id_token", "access_token", "iss"),
    *("next", "prompt", "login_hint", "challenge", "show", "search", "cursor", "top", "account_id", "keep"),
]
_EVIL = [
    *("//evil.example", "/\\evil", "%2F%2Fevil", "javascript:alert(1)", "/me\r\nSet-Cookie: x=y", "../..", "\0"),
    *("<script>", "{{7*7}}", "' or 1=1", "${jndi:ldap://x}", "A" * 5000, "é\u202e\U0001f4a9", "%", "%zz", "\ud7ff"),
]
_HEADER_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=200)
_values = st.one_of(st.sampled_from(_EVIL), st.text(st.characters(exclude_categories=["Cs"]), max_size=60))


def queries() -> st.SearchStrategy[str]:
    """Further query parameters: some are repeated, some badly encoded."""
    pairs = st.lists(st.tuples(st.sampled_from(_PARAMETERS), _values), max_size=4)
    raw = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#"), max_size=60)
    return st.one_of(st.just(""), pairs.map(urlencode), raw)


def cookies(session: str, flow: str) -> st.SearchStrategy[str]:
    """Cookie headers. None of them is a valid session.

    Args:
        session: a value that was valid, of somebody who signed out.
        flow: the value of a sign-in flow's cookie.
    """
    stranger = KeyRing.parse(new_key("k1"))
    value = st.one_of(
        st.sampled_from([session, flow, session[:-1], session + "A", "", "=", '"' + session + '"', "A" * 4096]),
        st.integers(0, len(session) - 1).map(lambda place: _one_changed(session, place)),
        st.binary(max_size=300).map(lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")),
        st.sampled_from(['{"id": 1}', "[]", "null", "x"]).map(
            lambda text: stranger.seal_text(text, purpose="session/1")
        ),
        _HEADER_TEXT,
    )
    one = st.tuples(st.sampled_from(_NAMES), value).map("=".join)
    return st.one_of(st.lists(one, max_size=8).map("; ".join), _HEADER_TEXT)


def headers(origin: str) -> st.SearchStrategy[dict[str, str]]:
    """Headers that browsers, proxies and attackers add.

    Args:
        origin: the app's own: cookies alone must not be enough, nor must the right origin.
    """
    choices = {
        "Accept": ["text/html", "application/json", "*/*", "image/avif,image/webp", "", "text/html;q=0"],
        "Host": ["[", "evil.example", "localhost", "a b", "@", "[::1]:80", "\u00e9"],
        "Origin": [origin, "null", "https://evil.example", origin + ".evil.example", ""],
        "Sec-Fetch-Site": ["same-origin", "cross-site", "none", "same-origin, cross-site"],
        "X-Forwarded-Host": ["evil.example"],
        "X-HTTP-Method-Override": ["DELETE", "POST"],
        "Authorization": [
            "Bearer",
            "Bearer x",
            "Bearer eyJhbGciOiJub25lIn0.e30.",
            "Basic eDp4",
            "Bearer " + "x" * 9000,
        ],
        "Content-Type": ["application/x-www-form-urlencoded", "multipart/form-data", "application/json", "x/y; ="],
        "Range": ["bytes=0-0,1-1"],
        "If-None-Match": ["*"],
    }
    options = {name: st.sampled_from(values) | _HEADER_TEXT for name, values in choices.items()}
    return st.fixed_dictionaries({}, optional=options).map(lambda given: {k: v.strip() for k, v in given.items()})


def _one_changed(text: str, place: int) -> str:
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
