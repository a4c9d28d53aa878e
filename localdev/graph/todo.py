"""To Do over HTTP. Microsoft's pages "List lists", "Create todoTaskList", "List Todo tasks", "Create todoTask",
"Get todoTask", "Update todoTask" and "Delete todoTask".
"""

from typing import Any

from starlette.responses import JSONResponse, Response

from localdev.graph.endpoint import Call
from localdev.graph.errors import bad_request, not_found
from localdev.graph.odata import page, select
from localdev.graph.todo_lists import STATUSES, TodoList

_WRITABLE = (
    "title", "body", "status", "importance", "isReminderOn", "dueDateTime", "reminderDateTime", "startDateTime",
    "categories", "recurrence",
)  # fmt: skip


def list_lists(call: Call) -> Response:
    """GET /me/todo/lists."""
    lists = call.tenancy.data.todo(call.person.username).lists.values()
    return page(call, [_list_shown(each) for each in lists], context="users('me')/todo/lists")


def create_list(call: Call) -> Response:
    """POST /me/todo/lists: 201."""
    name = call.json().get("displayName")
    if not isinstance(name, str) or not name:
        raise bad_request("The property 'displayName' is required.", "invalidRequest")
    return JSONResponse(_list_shown(call.tenancy.data.todo(call.person.username).add(name)), 201)


def get_list(call: Call) -> Response:
    """GET /me/todo/lists/{id}."""
    return JSONResponse(_list_shown(todo_list(call)))


def list_tasks(call: Call) -> Response:
    """GET /me/todo/lists/{id}/tasks."""
    return page(call, todo_list(call).tasks(), context="users('me')/todo/lists('id')/tasks")


def create_task(call: Call) -> Response:
    """POST /me/todo/lists/{id}/tasks: 201. There is no transactionId: a repeat makes a second task."""
    facts = _facts(call)
    if not facts.get("title"):
        raise bad_request("The property 'title' is required.", "invalidRequest")
    return JSONResponse(todo_list(call).add(facts), 201)


def get_task(call: Call) -> Response:
    """GET /me/todo/lists/{id}/tasks/{id}."""
    return JSONResponse(select(_task(call), call.query("$select")))


def update_task(call: Call) -> Response:
    """PATCH /me/todo/lists/{id}/tasks/{id}."""
    return JSONResponse(todo_list(call).change(_task(call)["id"], _facts(call)))


def delete_task(call: Call) -> Response:
    """DELETE /me/todo/lists/{id}/tasks/{id}: 204, and 404 when it is gone."""
    todo_list(call).delete(_task(call)["id"])
    return Response(status_code=204)


def todo_list(call: Call) -> TodoList:
    """The list that the path names. Raises GraphError 404."""
    found = call.tenancy.data.todo(call.person.username).lists.get(call.segment("list"))
    if found is None:
        raise not_found()
    return found


def _task(call: Call) -> dict[str, Any]:
    found = todo_list(call).find(call.segment("task"))
    if found is None:
        raise not_found()
    return found


def _facts(call: Call) -> dict[str, Any]:
    given = call.json()
    if given.get("status", STATUSES[0]) not in STATUSES:
        raise bad_request(f"The status must be one of {', '.join(STATUSES)}.", "invalidRequest")
    return {name: given[name] for name in _WRITABLE if name in given}


def _list_shown(each: TodoList) -> dict[str, Any]:
    return {
        "@odata.etag": f'W/"{each.generation[:12]}"',
        "id": each.id,
        "displayName": each.name,
        "isOwner": True,
        "isShared": False,
        "wellknownListName": each.well_known,
    }
