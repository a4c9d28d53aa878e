"""What a store of markers promises: in memory, and in Azurite's tables."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from azure.data.tables import TableServiceClient

from shared.accounts import all_slots, slot_of
from shared.store.markers import Marker, MarkerStore, MemoryMarkers
from shared.store.tables.markers import TableMarkers

NOW = datetime(2026, 5, 4, 7, tzinfo=UTC)
MARKER = Marker("oid.tid", "digest", "2026-05-04", "mail", "ours", NOW)


@pytest.fixture(params=["memory", "tables"])
def markers(request: pytest.FixtureRequest) -> Iterator[MarkerStore]:
    """An empty store."""
    if request.param == "memory":
        yield MemoryMarkers()
    else:
        tables: TableServiceClient = request.getfixturevalue("tables")
        yield TableMarkers(tables)


def test_the_first_marker_stays_and_whoever_comes_later_gets_it(markers: MarkerStore) -> None:
    """Also who wrote it and asks again, because the answer was lost."""
    assert markers.insert(MARKER).owner == "ours"
    assert markers.insert(MARKER).owner == "ours"
    found = markers.insert(replace(MARKER, owner="theirs", made_at=NOW + timedelta(hours=1)))
    assert (found.owner, found.status, found.made_at) == ("ours", None, NOW)


@pytest.mark.parametrize(
    "other",
    [
        {"account_id": "other.tid"},
        {"task": "sync"},
        {"occurrence": "2026-05-05"},
        {"name": "report"},
        {"task": "digest\x00", "occurrence": "2026-05-04"},
    ],
)
def test_each_effect_has_a_marker_of_its_own(markers: MarkerStore, other: dict[str, str]) -> None:
    """For a person, a task, an occurrence and a name."""
    markers.insert(MARKER)
    assert markers.insert(replace(MARKER, owner="theirs", **other)).owner == "theirs"  # type: ignore[arg-type]


def test_the_outcome_is_kept(markers: MarkerStore) -> None:
    """Status and id of the answer."""
    markers.insert(MARKER)
    markers.finish(replace(MARKER, status=201, answer_id="AAMk="))
    found = markers.insert(replace(MARKER, owner="theirs"))
    assert (found.status, found.answer_id) == (201, "AAMk=")


def test_a_removed_marker_makes_room(markers: MarkerStore) -> None:
    """A removal that is repeated does nothing."""
    markers.insert(MARKER)
    markers.remove(MARKER)
    markers.remove(MARKER)
    assert markers.insert(replace(MARKER, owner="theirs")).owner == "theirs"


def test_old_markers_are_purged_slot_by_slot(markers: MarkerStore) -> None:
    """Newer ones and those of other slots stay."""
    slot = slot_of(MARKER.account_id)
    other = next(each for each in all_slots() if each != slot)
    for number in range(105):
        markers.insert(replace(MARKER, name=str(number)))
    young = replace(MARKER, name="young", made_at=NOW + timedelta(days=2))
    markers.insert(young)
    assert markers.purge(other, NOW + timedelta(days=1)) == 0
    assert markers.purge(slot, NOW + timedelta(days=1)) == 105
    assert markers.insert(replace(young, owner="theirs")).owner == "ours"


def test_a_slot_with_markers_is_purged_once_a_day(tables: TableServiceClient) -> None:
    """By whoever finishes one there; a slot without markers costs nothing."""
    markers = TableMarkers(tables)

    def finish(name: str, made_at: datetime) -> None:
        marker = replace(MARKER, name=name, made_at=made_at)
        markers.insert(marker)
        markers.finish(replace(marker, status=202))

    def is_there(name: str) -> bool:
        return markers.insert(replace(MARKER, name=name, owner="probe", made_at=now)).owner == MARKER.owner

    finish("old", NOW)
    now = NOW + timedelta(days=36)
    finish("first", now)
    assert not is_there("old")
    markers.insert(replace(MARKER, name="late", made_at=NOW))
    finish("second", now + timedelta(hours=1))
    assert is_there("late")
    finish("third", now + timedelta(days=1))
    assert not is_there("late")
