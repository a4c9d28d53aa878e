"""Properties: what was sealed opens for its purpose and owner, and nothing else ever opens."""

import base64

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.errors import SealError
from shared.sealing import KeyRing

RING = KeyRing({"new": b"\1" * 32, "old": b"\2" * 32})
OLD = KeyRing({"old": b"\2" * 32})
TEXT = st.text(st.characters(codec="utf-8"), max_size=200)
PURPOSES = st.text("abcdefghij-", min_size=1, max_size=12)


@given(data=st.binary(max_size=500), purpose=PURPOSES, owner=TEXT)
def test_what_was_sealed_opens(data: bytes, purpose: str, owner: str) -> None:
    """This holds also for an older key of the ring."""
    assert RING.open(RING.seal(data, purpose=purpose, owner=owner), purpose=purpose, owner=owner) == data
    assert RING.open(OLD.seal(data, purpose=purpose, owner=owner), purpose=purpose, owner=owner) == data


@given(text=TEXT, owner=TEXT)
def test_caches_and_texts_open(text: str, owner: str) -> None:
    """Compressed, and in base64url without padding."""
    assert RING.open_cache(RING.seal_cache(text, owner), owner) == text
    sealed = RING.seal_text(text, purpose="p", owner=owner)
    assert set(sealed) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert RING.open_text(sealed, purpose="p", owner=owner) == text


@given(one=st.tuples(PURPOSES, TEXT), other=st.tuples(PURPOSES, TEXT))
def test_another_purpose_or_owner_never_opens(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Also where purpose and owner read the same one after the other."""
    assume(one != other)
    sealed = RING.seal(b"data", purpose=one[0], owner=one[1])
    with pytest.raises(SealError):
        RING.open(sealed, purpose=other[0], owner=other[1])


@given(data=st.binary(max_size=60), at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_never_opens(data: bytes, at: int, bit: int) -> None:
    """In the header, the key id, the nonce, the content or the tag."""
    sealed = bytearray(RING.seal(data, purpose="p"))
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(SealError):
        RING.open(bytes(sealed), purpose="p")


@given(anything=st.binary(max_size=120), owner=TEXT)
def test_any_bytes_are_refused_by_one_error(anything: bytes, owner: str) -> None:
    """A row may contain anything."""
    with pytest.raises(SealError):
        RING.open_cache(anything, owner)


@given(anything=st.text(max_size=120))
def test_any_text_is_refused_by_one_error(anything: str) -> None:
    """A cookie may contain anything."""
    with pytest.raises(SealError):
        RING.open_text(anything, purpose="session")


@given(anything=st.binary(max_size=60))
def test_sealed_but_not_compressed_is_malformed(anything: bytes) -> None:
    """The key is right, but the content is wrong."""
    assume(not anything.startswith(b"x"))
    with pytest.raises(SealError, match="malformed"):
        RING.open_cache(RING.seal(anything, purpose="token-cache", owner="me"), "me")


@given(anything=st.binary(max_size=60))
def test_sealed_but_not_text_is_one_error(anything: bytes) -> None:
    """Base64 of sealed bytes that are no UTF-8."""
    sealed = base64.urlsafe_b64encode(RING.seal(anything, purpose="p")).decode().rstrip("=")
    try:
        text = anything.decode()
    except UnicodeDecodeError:
        with pytest.raises(SealError, match="malformed"):
            RING.open_text(sealed, purpose="p")
    else:
        assert RING.open_text(sealed, purpose="p") == text
