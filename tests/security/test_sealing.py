"""Sealed values open only unchanged, with their key, for their purpose and owner."""

import re
import zlib
from base64 import urlsafe_b64encode

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import SealError
from shared.sealing import KeyRing, new_key, sealed_with


@pytest.fixture
def ring() -> KeyRing:
    """A ring with two keys."""
    return KeyRing.parse(f"{new_key('new')},{new_key('old')}")


def reason(error: pytest.ExceptionInfo[SealError]) -> str:
    """The reason why a value did not open."""
    return error.value.reason


def test_sealed_value_opens_for_its_purpose_and_owner(ring: KeyRing) -> None:
    """The opened text is the sealed one."""
    assert ring.open(ring.seal(b"a token", purpose="p", owner="ada"), purpose="p", owner="ada") == b"a token"


def test_another_owner_opens_nothing(ring: KeyRing) -> None:
    """A blob that was moved to another person's row is refused."""
    with pytest.raises(SealError) as error:
        ring.open_cache(ring.seal_cache("{}", "ada"), "ben")
    assert reason(error) == "forged"


def test_another_purpose_opens_nothing(ring: KeyRing) -> None:
    """The cookie of a sign-in flow is no session."""
    with pytest.raises(SealError) as error:
        ring.open_text(ring.seal_text("{}", purpose="sign-in-flow/1"), purpose="session/1")
    assert reason(error) == "forged"


def test_purpose_and_owner_do_not_run_together(ring: KeyRing) -> None:
    """The border between the two is sealed as well."""
    with pytest.raises(SealError):
        ring.open(ring.seal(b"x", purpose="ab", owner="c"), purpose="a", owner="bc")


def test_every_changed_bit_is_noticed(ring: KeyRing) -> None:
    """In the version, the key's id, the nonce, the text and the tag."""
    sealed = ring.seal(b"a token", purpose="p")
    for position in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(SealError):
            ring.open(bytes(changed), purpose="p")


def test_every_shortened_value_is_noticed(ring: KeyRing) -> None:
    """A value is refused wherever it is cut off."""
    sealed = ring.seal(b"a token", purpose="p")
    for length in range(len(sealed)):
        with pytest.raises(SealError):
            ring.open(sealed[:length], purpose="p")


def test_the_same_text_is_never_sealed_alike(ring: KeyRing) -> None:
    """The nonce is random: equal caches look different."""
    assert len({ring.seal(b"a token", purpose="p") for _ in range(1000)}) == 1000


def test_sealed_value_does_not_show_its_text(ring: KeyRing) -> None:
    """Neither the text nor the key is in it."""
    sealed = ring.seal(b"a refresh token", purpose="p")
    assert b"refresh" not in sealed
    assert not any(key in sealed for key in ring.keys.values())


def test_newest_key_seals_and_older_keys_open(ring: KeyRing) -> None:
    """New values name the first key of the ring."""
    older = KeyRing({"old": ring.keys["old"]})
    assert ring.open(older.seal(b"x", purpose="p"), purpose="p") == b"x"
    assert sealed_with(ring.seal(b"x", purpose="p")) == "new"


def test_retired_key_is_named_in_the_refusal(ring: KeyRing) -> None:
    """So that an operator knows which key to bring back."""
    older = KeyRing({"old": ring.keys["old"]})
    with pytest.raises(SealError) as error:
        older.open(ring.seal(b"x", purpose="p"), purpose="p")
    assert (reason(error), error.value.key_id) == ("unknown_key", "new")


def test_another_key_under_the_same_id_opens_nothing(ring: KeyRing) -> None:
    """An id is a label and proves nothing."""
    with pytest.raises(SealError) as error:
        KeyRing.parse(new_key("new")).open(ring.seal(b"x", purpose="p"), purpose="p")
    assert reason(error) == "forged"


def test_each_purpose_has_a_key_of_its_own(ring: KeyRing) -> None:
    """The ring's key itself never encrypts (RFC 5869): nothing opens with it directly."""
    sealed = ring.seal(b"x", purpose="p")
    nonce, body = sealed[5:17], sealed[17:]
    with pytest.raises(InvalidTag):
        AESGCM(ring.keys["new"]).decrypt(nonce, body, b"\0\1p")


def test_blob_that_unpacks_without_end_is_refused(ring: KeyRing) -> None:
    """This holds even for a value sealed with the right key: 64 MiB in 64 KiB."""
    pack = zlib.compressobj(9)
    bomb = b"".join(pack.compress(bytes(1 << 20)) for _ in range(64)) + pack.flush()
    with pytest.raises(SealError) as error:
        ring.open_cache(ring.seal(bomb, purpose="token-cache", owner="ada"), "ada")
    assert reason(error) == "malformed"


@pytest.mark.parametrize("odd", ["", "=", "a", "AQ", "%41", "ä", "\0", "A" * 4095, "AQNvbGQ" * 100, "-_-_", "\ud800"])
def test_odd_cookie_text_is_malformed_or_forged_and_nothing_else(ring: KeyRing, odd: str) -> None:
    """No other exception leaves the ring."""
    with pytest.raises(SealError):
        ring.open_text(odd, purpose="session/1")


def test_sealed_text_needs_no_escape(ring: KeyRing) -> None:
    """The Functions host percent-escapes what it doesn't know in a cookie."""
    assert ring.seal_text("é" * 50, purpose="p").replace("-", "").replace("_", "").isalnum()


def test_keys_are_in_no_repr(ring: KeyRing) -> None:
    """Printing a ring shows no key."""
    assert "keys" not in repr(ring)


@pytest.mark.parametrize("text", ["", "k", "k:", "k:short", "k:" + "A" * 44, "a b:" + "A" * 43, "k:" + "/" * 43 + "!"])
def test_malformed_keys_are_refused_without_showing_them(text: str) -> None:
    """The message names at most the key's id."""
    with pytest.raises(ValueError, match="key") as error:
        KeyRing.parse(text)
    assert text.partition(":")[2] == "" or text.partition(":")[2] not in str(error.value)


ODD_KEYS = [bytes(32), b"\xff" * 32, b"0123456789abcde" + b"e" * 17, b"secret!!" * 4, b"0123456789abcdef" * 2]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_key_that_nobody_drew_at_random_is_refused(key: bytes) -> None:
    """All zeros, one byte, a few bytes again and again, 16 bytes twice."""
    with pytest.raises(ValueError, match="'k' repeats its bytes"):
        KeyRing.parse(f"k:{urlsafe_b64encode(key).decode()}")


def test_key_of_sixteen_different_bytes_is_accepted() -> None:
    """The border is far below what chance gives."""
    key = b"0123456789abcdef" + b"fedcba9876543210"
    assert KeyRing.parse(f"k:{urlsafe_b64encode(key).decode()}").keys == {"k": key}


def test_two_keys_under_one_id_are_refused() -> None:
    """Which of them sealed a value could not be told."""
    with pytest.raises(ValueError, match="each key id once"):
        KeyRing.parse(f"{new_key('k')},{new_key('k')}")


def test_spaces_around_an_entry_are_no_part_of_it() -> None:
    """A list that was wrapped for reading is the same list."""
    one, two = new_key("one"), new_key("two")
    assert KeyRing.parse(f" {one} ,\n {two} ").keys == KeyRing.parse(f"{one},{two}").keys


def test_new_entry_needs_no_quotes_and_no_padding() -> None:
    """It goes through shells and settings as it is."""
    assert re.fullmatch(r"k:[A-Za-z0-9_-]{43}", new_key("k"))


def test_value_too_short_for_nonce_and_tag_is_malformed(ring: KeyRing) -> None:
    """A shorter one was cut off: nobody forged it."""
    shortest = ring.seal(b"", purpose="p")
    assert ring.open(shortest, purpose="p") == b""
    with pytest.raises(SealError) as error:
        ring.open(shortest[:-1], purpose="p")
    assert reason(error) == "malformed"


def test_same_key_under_two_ids_is_refused() -> None:
    """It would look like a rotation, and rotate nothing."""
    entry = new_key("old")
    with pytest.raises(ValueError, match="'new' is the same key"):
        KeyRing.parse(f"{entry},new:{entry.partition(':')[2]}")


def test_new_keys_differ_and_have_256_bits() -> None:
    """They come from the system's random generator."""
    made = [KeyRing.parse(new_key("k")).keys["k"] for _ in range(100)]
    assert len(set(made)) == 100
    assert {len(key) for key in made} == {32}
