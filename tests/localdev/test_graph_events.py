"""The sample Graph's calendar: time zones, pages, and events that are made, changed and deleted."""

from typing import Any

import pytest

from localdev.tenant import SampleTenant
from tests.localdev.graph_client import CALENDAR, GraphClient, error_in
from tests.localdev.tenant_actors import BEN

_WEEK = {"startDateTime": "2026-03-02T00:00:00Z", "endDateTime": "2026-03-07T00:00:00Z"}
_MARCH = {"startDateTime": "2026-03-01T00:00:00Z", "endDateTime": "2026-04-01T00:00:00Z"}


@pytest.fixture
def ben(tenant: SampleTenant) -> GraphClient:
    """Ben, who may change his calendar."""
    return GraphClient(tenant, BEN, *CALENDAR)


def _event(hour: str = "10:00:00", zone: str = "UTC", **facts: Any) -> dict[str, Any]:
    times = {"start": f"2026-03-04T{hour}", "end": "2026-03-04T23:30:00"}
    return {name: {"dateTime": time, "timeZone": zone} for name, time in times.items()} | {"subject": "Call"} | facts


def _view(ben: GraphClient, **headers: str) -> list[dict[str, Any]]:
    return ben.all("/me/calendarView", params=_WEEK | {"$top": "100"}, headers=headers)


def test_a_month_comes_in_pages_of_ten(ben: GraphClient) -> None:
    """In order of their start, and the links keep the window."""
    pages = ben.pages("/me/calendarView", params=_MARCH)
    assert [len(each["value"]) for each in pages[:-1]] == [10] * (len(pages) - 1)
    assert len(pages) > 2
    starts = [each["start"]["dateTime"] for page in pages for each in page["value"]]
    assert starts == sorted(starts)
    assert starts[-1] > "2026-03-2"


@pytest.mark.parametrize(
    ("zone", "hour"), [("Europe/Berlin", "11"), ("W. Europe Standard Time", "11"), ("Asia/Kolkata", "15")]
)
def test_shows_times_in_the_zone_asked_for(ben: GraphClient, zone: str, hour: str) -> None:
    """By IANA's and Windows' names; the answer confirms it."""
    made = ben.send("POST", "/me/events", json=_event()).json()
    answer = ben.send("GET", f"/me/events/{made['id']}", headers={"Prefer": f'outlook.timezone="{zone}"'})
    start = answer.json()["start"]
    assert (start["timeZone"], start["dateTime"][11:13]) == (zone, hour)
    assert answer.headers["Preference-Applied"] == f'outlook.timezone="{zone}"'
    shown = next(each for each in _view(ben, Prefer=f'outlook.timezone="{zone}"') if each["id"] == made["id"])
    assert shown["start"] == start


def test_the_window_is_read_by_its_own_offset(ben: GraphClient) -> None:
    """Not by the preferred zone; without an offset it is UTC."""
    ben.send("POST", "/me/events", json=_event())
    wished = {"Prefer": 'outlook.timezone="Asia/Tokyo"'}
    plain = {"startDateTime": "2026-03-04T00:00:00", "endDateTime": "2026-03-05T00:00:00", "$top": "50"}
    shifted = {"startDateTime": "2026-03-04T09:00:00+09:00", "endDateTime": "2026-03-05T09:00:00+09:00", "$top": "50"}
    found = ben.all("/me/calendarView", params=plain, headers=wished)
    assert found == ben.all("/me/calendarView", params=shifted, headers=wished)
    assert "Call" in [each["subject"] for each in found]
    evening = {"startDateTime": "2026-03-05T09:00:00+10:00", "endDateTime": "2026-03-05T09:15:00+10:00"}
    assert [each["subject"] for each in ben.all("/me/calendarView", params=evening)] == ["Call"]


def test_an_unknown_time_zone_is_refused(ben: GraphClient) -> None:
    """400, in the header and in an event."""
    for name in ("Mars/Olympus", "../etc/passwd", "Europe"):
        answer = ben.send("GET", "/me/calendarView", params=_WEEK, headers={"Prefer": f'outlook.timezone="{name}"'})
        assert error_in(answer) == (400, "TimeZoneNotSupportedException")
        answer = ben.send("POST", "/me/events", json=_event(zone=name))
        assert error_in(answer) == (400, "TimeZoneNotSupportedException")


def test_makes_changes_and_deletes_an_event(ben: GraphClient) -> None:
    """201, 200, 204; gone, it is 404."""
    before = _view(ben)
    made = ben.send("POST", "/me/events", json=_event(zone="America/New_York"))
    assert made.status_code == 201
    assert made.json()["start"] == {"dateTime": "2026-03-04T15:00:00.0000000", "timeZone": "UTC"}
    path = f"/me/events/{made.json()['id']}"
    changed = ben.send("PATCH", path, json={"subject": "Longer call"}).json()
    assert (changed["subject"], changed["start"]) == ("Longer call", made.json()["start"])
    assert len(_view(ben)) == len(before) + 1
    assert ben.send("DELETE", path).status_code == 204
    assert _view(ben) == before
    assert error_in(ben.send("DELETE", path)) == (404, "ErrorItemNotFound")
    assert error_in(ben.send("PATCH", path, json={})) == (404, "ErrorItemNotFound")


def test_made_up_events_can_be_changed_and_deleted_too(ben: GraphClient) -> None:
    """They are found by their ID, and the others stay."""
    first, second, *rest = _view(ben)
    ben.send("PATCH", f"/me/events/{first['id']}", json={"subject": "Moved"})
    ben.send("DELETE", f"/me/events/{second['id']}")
    now = _view(ben)
    assert [each["subject"] for each in now if each["id"] == first["id"]] == ["Moved"]
    assert [each["id"] for each in now] == [first["id"], *(each["id"] for each in rest)]


def test_the_same_transaction_makes_one_event(ben: GraphClient) -> None:
    """A repeat is answered with 201 and the first event; another transaction makes another."""
    first, again = (ben.send("POST", "/me/events", json=_event(transactionId="t1")) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    other = ben.send("POST", "/me/events", json=_event(transactionId="t2"))
    plain = [ben.send("POST", "/me/events", json=_event()).json()["id"] for _ in range(2)]
    assert len({first.json()["id"], other.json()["id"], *plain}) == 4
    assert first.json()["transactionId"] == "t1"


@pytest.mark.parametrize("body", [{}, {"start": "now", "end": "later"}, _event("23:45:00")])
def test_an_event_needs_its_times_in_order(ben: GraphClient, body: dict[str, Any]) -> None:
    """400, and nothing is made."""
    before = _view(ben)
    assert error_in(ben.send("POST", "/me/events", json=body)) == (400, "ErrorPropertyValidationFailure")
    assert _view(ben) == before


@pytest.mark.parametrize("left_out", ["startDateTime", "endDateTime"])
def test_a_view_needs_both_ends(ben: GraphClient, left_out: str) -> None:
    """400 in Graph's words."""
    query = {name: value for name, value in _WEEK.items() if name != left_out}
    answer = ben.send("GET", "/me/calendarView", params=query)
    assert error_in(answer) == (400, "ErrorInvalidParameter")
    assert "time window" in answer.json()["error"]["message"]


def test_nobody_reaches_another_persons_events(ben: GraphClient) -> None:
    """An ID of somebody else's calendar is unknown in one's own."""
    first = _view(ben)[0]
    ada = GraphClient(ben.tenant, "ada@contoso.example", *CALENDAR)
    assert error_in(ada.send("GET", f"/me/events/{first['id']}")) == (404, "ErrorItemNotFound")
