"""What changed in a To Do list. Microsoft's pages "todoTask: delta" and "Use delta query to track changes in Microsoft
Graph data": nextLink within a round, deltaLink at its end, @removed for what is gone, 410 when the state is lost.
"""

from typing import Any

from starlette.responses import JSONResponse, Response

from localdev.graph.endpoint import Call
from localdev.graph.errors import GraphError, bad_request
from localdev.graph.odata import PAGE, number, select
from localdev.graph.todo import todo_list
from localdev.graph.todo_lists import TodoList

_KIND = "delta"


def list_changes(call: Call) -> Response:
    """GET /me/todo/lists/{id}/tasks/delta. The tokens carry $select and the page size of the round's first request."""
    known, state = todo_list(call), _state(call)
    if state["generation"] != known.generation:
        initial = f"{call.url}?$deltatoken="
        raise GraphError(410, "syncStateNotFound", "The sync state generation is not found.", {"Location": initial})
    # A round that starts from nothing does not tell of tasks that were gone when it started.
    changes = [each for each in known.since(state["after"]) if each[2] or each[0] > state["from"]]
    shown, rest = changes[: state["size"]], changes[state["size"] :]
    if rest:
        after = {"$skiptoken": _seal(call, state | {"after": shown[-1][0]})}
    else:
        after = {"$deltatoken": _seal(call, state | {"after": known.number, "from": 0})}
    (name, token), kind = next(iter(after.items())), "nextLink" if rest else "deltaLink"
    body = {
        "@odata.context": f"{call.root}/$metadata#Collection(microsoft.graph.todoTask)",
        "value": [
            select(task, state["select"]) if task else {"id": identity, "@removed": {"reason": "deleted"}}
            for _, identity, task in shown
        ],
        f"@odata.{kind}": f"{call.url}?{name}={token}",
    }
    return JSONResponse(body)


def _state(call: Call) -> dict[str, Any]:
    """The round's state: from the token, or a new one."""
    token = call.query("$skiptoken") or call.query("$deltatoken")
    if not token:
        return _first(call, todo_list(call))
    state = call.tenancy.tickets.open(_KIND, token)
    if state is None:
        raise bad_request("Badly formed token.", "invalidRequest")
    return state


def _first(call: Call, known: TodoList) -> dict[str, Any]:
    wished = call.preference("odata.maxpagesize")
    size = int(wished) if wished.isdigit() and int(wished) else number(call, "$top", PAGE, least=1)
    return {
        "generation": known.generation,
        "after": 0,
        "from": known.number,
        "size": size,
        "select": call.query("$select"),
    }


def _seal(call: Call, state: dict[str, Any]) -> str:
    return call.tenancy.tickets.seal(_KIND, state)
