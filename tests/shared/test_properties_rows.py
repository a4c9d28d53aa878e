"""Properties: keys of rows, chunks of blobs, and rows there and back."""

import hashlib
import re
from datetime import datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from shared.accounts import EPOCH, Account, Attempt, Failure, Lease, Outcome, State, all_slots, slot_of
from shared.store.tables.rows import CHUNK_BYTES, LONGEST_KEY, from_entity, row_key, to_entity

IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=600) | st.text("_x00aAF2/%+", min_size=1, max_size=30)
TIMES = st.integers(0, 32_000_000_000_000_000).map(lambda each: EPOCH + timedelta(microseconds=each))
WORDS = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=20)


@given(account_id=IDS)
def test_row_key_is_always_a_key_that_tables_take(account_id: str) -> None:
    """No forbidden character, none that a URL can't carry, at most 512 UTF-16 characters."""
    key = row_key(account_id)
    assert key
    assert len(key.encode("utf-16-le")) // 2 <= LONGEST_KEY
    assert not set(key) & set("/\\#?%+~")
    assert not any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 for each in key)


@given(account_id=IDS)
def test_row_key_can_be_undone_or_is_a_digest(account_id: str) -> None:
    """So that two people never share a row."""
    key = row_key(account_id)
    assert (
        re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), key) == account_id
        or key == hashlib.sha256(account_id.encode()).hexdigest()
    )


@given(first=IDS, second=IDS)
def test_different_people_have_different_keys(first: str, second: str) -> None:
    """Also those whose id looks like another's encoded."""
    assume(first != second)
    assert row_key(first) != row_key(second)
    assert row_key(row_key(first)) == row_key(first) or row_key(first) != first


@given(account_id=IDS)
def test_everybody_has_one_of_the_slots(account_id: str) -> None:
    """And always the same."""
    assert slot_of(account_id) in all_slots()
    assert slot_of(account_id) == slot_of(account_id)


@given(
    account_id=IDS,
    blob=st.integers(0, 3 * CHUNK_BYTES + 1).map(bytes),
    times=st.tuples(TIMES, TIMES, TIMES),
    state=st.sampled_from(State),
    scopes=st.lists(WORDS, max_size=4).map(tuple),
    code=WORDS | st.none(),
    recent=st.lists(st.tuples(TIMES, st.sampled_from(Outcome)), max_size=10),
    extra=st.dictionaries(st.text(max_size=10), st.integers() | st.text(max_size=20) | st.none(), max_size=4),
    leased=st.booleans(),
)
def test_a_row_gives_back_what_went_in(
    account_id: str,
    blob: bytes,
    times: tuple[datetime, datetime, datetime],
    state: State,
    scopes: tuple[str, ...],
    code: str | None,
    recent: list[tuple[datetime, Outcome]],
    extra: dict[str, object],
    *,
    leased: bool,
) -> None:
    """Chunks are joined in order, absent stays absent."""
    account = Account(
        account_id=account_id,
        sealed_cache=blob,
        due_at=times[0],
        last_activity=times[1],
        last_swept_at=times[2] if leased else None,
        state=state,
        scopes=scopes,
        failure=Failure(code, times[0], times[1]) if code else None,
        recent=tuple(Attempt(*each) for each in recent),
        extra=extra,
        lease=Lease("owner", times[2]) if leased else None,
    )
    entity = to_entity(account)
    chunks = [value for name, value in entity.items() if name.startswith("Cache") and isinstance(value, bytes)]
    assert all(len(chunk) <= CHUNK_BYTES for chunk in chunks)
    assert from_entity(entity, "etag") == account
