"""A person's calendar over HTTP. Microsoft's pages "List calendarView", "Get event", "Create event", "Update event" and
"Delete event"; for `transactionId`: "event resource type".
"""

from dataclasses import replace
from typing import Any

from starlette.responses import JSONResponse, Response

from localdev.graph.calendar import Calendar, Event
from localdev.graph.endpoint import Call
from localdev.graph.errors import bad_request, not_found
from localdev.graph.odata import page, select
from localdev.graph.times import applied, moment_in, moment_of, preferred_zone, shown

_DEFAULTS: dict[str, Any] = {
    "subject": "",
    "bodyPreview": "",
    "body": {"contentType": "html", "content": ""},
    "location": {"displayName": ""},
    "attendees": [],
    "isAllDay": False,
    "isCancelled": False,
    "showAs": "busy",
    "transactionId": None,
}
_WRITABLE = _DEFAULTS.keys() - {"bodyPreview", "isCancelled"}


def list_calendar_view(call: Call) -> Response:
    """GET /me/calendarView: events between startDateTime and endDateTime, which are required."""
    start, end = call.query("startDateTime"), call.query("endDateTime")
    if not start or not end:
        raise bad_request(
            "This request requires a time window specified by the query string parameters StartDateTime and "
            "EndDateTime.",
            "ErrorInvalidParameter",
        )
    zone = preferred_zone(call)
    found = _calendar(call).between(moment_in(start), moment_in(end))
    return page(
        call, [_shown(call, each, zone) for each in found], context="users('me')/calendarView", headers=applied(call)
    )


def get_event(call: Call) -> Response:
    """GET /me/events/{id}."""
    return _answer(call, _event(call))


def create_event(call: Call) -> Response:
    """POST /me/events: 201. A repeat with the same transactionId makes no second event and answers 201 too."""
    given = call.json()
    begins, ends = moment_of(given.get("start")), moment_of(given.get("end"))
    _check_order(begins <= ends)
    event = _calendar(call).create(begins, ends, _facts(call, given))
    return _answer(call, event, 201)


def update_event(call: Call) -> Response:
    """PATCH /me/events/{id}: what is left out stays."""
    given, event = call.json(), _event(call)
    changed = replace(
        event,
        begins=moment_of(given["start"]) if "start" in given else event.begins,
        ends=moment_of(given["end"]) if "end" in given else event.ends,
        facts=event.facts | {name: given[name] for name in _WRITABLE - {"transactionId"} if name in given},
    )
    _check_order(changed.begins <= changed.ends)
    _calendar(call).keep(changed)
    return _answer(call, changed)


def delete_event(call: Call) -> Response:
    """DELETE /me/events/{id}: 204, and 404 when it is gone."""
    _calendar(call).delete(_event(call).id)
    return Response(status_code=204)


def _calendar(call: Call) -> Calendar:
    return call.tenancy.data.calendar(call.person.username)


def _event(call: Call) -> Event:
    event = _calendar(call).find(call.segment("event"))
    if event is None:
        raise not_found()
    return event


def _facts(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    organizer = {"emailAddress": {"name": call.person.name, "address": call.person.username}}
    return {name: given[name] for name in _WRITABLE if name in given} | {"organizer": organizer}


def _check_order(right: bool) -> None:
    if not right:
        raise bad_request("The end date can't be earlier than the start date.", "ErrorPropertyValidationFailure")


def _answer(call: Call, event: Event, status: int = 200) -> Response:
    body = {"@odata.context": f"{call.root}/$metadata#users('me')/events/$entity"}
    shown_event = select(_shown(call, event, preferred_zone(call)), call.query("$select"))
    return JSONResponse(body | shown_event, status, applied(call))


def _shown(call: Call, event: Event, zone: str) -> dict[str, Any]:
    known = {"id": event.id} | _DEFAULTS | event.facts
    known |= {"start": shown(event.begins, zone), "end": shown(event.ends, zone)}
    if call.scopes.isdisjoint(("Calendars.Read", "Calendars.ReadWrite")):  # Calendars.ReadBasic shows no bodies
        known = {name: value for name, value in known.items() if name not in ("body", "bodyPreview")}
    return known
