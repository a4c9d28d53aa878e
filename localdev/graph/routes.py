"""Every path of the sample Graph: its methods, and the delegated permissions of which one is needed.

The permissions are those of each endpoint's page under "Microsoft Graph REST API v1.0 endpoint reference".
"""

from collections.abc import Mapping
from typing import NoReturn

from starlette.routing import Route

from localdev.graph import events, messages, profile, todo, todo_delta
from localdev.graph.endpoint import PREFIX, Call, Endpoint, Way
from localdev.graph.errors import GraphError
from localdev.tenant.tenancy import Tenancy

_EVERY_METHOD = ["GET", "POST", "PATCH", "PUT", "DELETE"]
_PROFILE = ("User.Read", "User.ReadWrite")
_READ_MAIL = ("Mail.ReadBasic", "Mail.Read", "Mail.ReadWrite")
_SEND_MAIL = ("Mail.Send",)
_READ_CALENDAR = ("Calendars.ReadBasic", "Calendars.Read", "Calendars.ReadWrite")
_WRITE_CALENDAR = ("Calendars.ReadWrite",)
_READ_TASKS = ("Tasks.Read", "Tasks.ReadWrite")
_WRITE_TASKS = ("Tasks.ReadWrite",)
_DELTA = {"GET": Way(_READ_TASKS, todo_delta.list_changes)}

PATHS: Mapping[str, Mapping[str, Way]] = {
    "/me": {"GET": Way(_PROFILE, profile.get_me)},
    "/me/photo/$value": {"GET": Way(_PROFILE, profile.get_photo)},
    "/me/photos/{size}/$value": {"GET": Way(_PROFILE, profile.get_photo)},
    "/me/messages": {"GET": Way(_READ_MAIL, messages.list_messages)},
    "/me/messages/{message}": {"GET": Way(_READ_MAIL, messages.get_message)},
    "/me/messages/{message}/reply": {"POST": Way(_SEND_MAIL, messages.reply)},
    "/me/mailFolders/{folder}/messages": {"GET": Way(_READ_MAIL, messages.list_folder)},
    "/me/sendMail": {"POST": Way(_SEND_MAIL, messages.send_mail)},
    "/me/calendarView": {"GET": Way(_READ_CALENDAR, events.list_calendar_view)},
    "/me/calendar/calendarView": {"GET": Way(_READ_CALENDAR, events.list_calendar_view)},
    "/me/events": {"POST": Way(_WRITE_CALENDAR, events.create_event)},
    "/me/events/{event}": {
        "GET": Way(_READ_CALENDAR, events.get_event),
        "PATCH": Way(_WRITE_CALENDAR, events.update_event),
        "DELETE": Way(_WRITE_CALENDAR, events.delete_event),
    },
    "/me/todo/lists": {"GET": Way(_READ_TASKS, todo.list_lists), "POST": Way(_WRITE_TASKS, todo.create_list)},
    "/me/todo/lists/{list}": {"GET": Way(_READ_TASKS, todo.get_list)},
    "/me/todo/lists/{list}/tasks": {
        "GET": Way(_READ_TASKS, todo.list_tasks),
        "POST": Way(_WRITE_TASKS, todo.create_task),
    },
    # Microsoft's SDKs call the function by its full form.
    "/me/todo/lists/{list}/tasks/delta": _DELTA,
    "/me/todo/lists/{list}/tasks/delta()": _DELTA,
    "/me/todo/lists/{list}/tasks/{task}": {
        "GET": Way(_READ_TASKS, todo.get_task),
        "PATCH": Way(_WRITE_TASKS, todo.update_task),
        "DELETE": Way(_WRITE_TASKS, todo.delete_task),
    },
}


def graph_routes(tenancy: Tenancy) -> list[Route]:
    """The routes, under /graph/v1.0, and 404 for everything else."""
    known = [
        Route(f"{PREFIX}/v1.0{path}", Endpoint(tenancy, _template(path), ways).handle, methods=_EVERY_METHOD)
        for path, ways in PATHS.items()
    ]
    unknown = Endpoint(tenancy, "", dict.fromkeys(_EVERY_METHOD, Way((), _missing)))
    return [*known, Route(f"{PREFIX}/{{path:path}}", unknown.handle, methods=_EVERY_METHOD)]


def _template(path: str) -> str:
    """Names a path with an item's ID in the journal; "" where the path itself does."""
    return f"/v1.0{path}" if "{" in path and "{size}" not in path else ""


def _missing(call: Call) -> NoReturn:
    raise GraphError(404, "Request_ResourceNotFound", f"The sample Graph has no {call.request.url.path}.")
