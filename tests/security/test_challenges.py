"""Text from elsewhere in places where it could do harm: in a header's quoted-string, and in a row."""

import re

import pytest

from shared.identity.challenge import bearer_challenge
from shared.identity.classification import classify
from tests.support import MakeServices

LONGEST = 4096


@pytest.mark.parametrize(
    "text",
    ['a", error="b', "a\\", "a\r\nSet-Cookie: x=y", "a\0b", "caf\u00e9", "\u201ca\u201d", 'a\\", Basic realm="b'],
)
def test_text_in_a_challenge_ends_no_quoted_string_and_no_header(make_services: MakeServices, text: str) -> None:
    """RFC 9110, 5.6.4. The header stays one challenge with the parameters that were meant."""
    header = bearer_challenge(make_services().settings, error="invalid_token", description=text, scope=text)
    assert re.fullmatch(r'Bearer (\w+="[\x20\x21\x23-\x5b\x5d-\x7e]*"(, (?!$)|$))+', header)
    assert re.findall(r'(\w+)="', header) == ["realm", "authorization_uri", "error", "error_description", "scope"]


def test_claims_challenge_longer_than_any_real_one_is_left_out() -> None:
    """It would go into the person's row and into a link."""
    answer = {"error": "interaction_required", "error_codes": [50076]}
    assert classify(answer | {"claims": "c" * LONGEST}).claims == "c" * LONGEST
    assert classify(answer | {"claims": "c" * (LONGEST + 1)}).claims == ""
    assert classify(answer | {"claims": {"access_token": {}}}).claims == ""
