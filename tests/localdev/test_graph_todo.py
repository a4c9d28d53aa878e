"""The sample Graph's To Do: lists, tasks, and what changed since the last look."""

from typing import Any

import pytest

from localdev.tenant import SampleTenant
from tests.localdev.graph_client import TASKS, GraphClient, error_in
from tests.localdev.tenant_actors import ADA, BEN


@pytest.fixture
def ben(tenant: SampleTenant) -> GraphClient:
    """Ben, who may change his tasks."""
    return GraphClient(tenant, BEN, *TASKS)


@pytest.fixture
def tasks(ben: GraphClient) -> str:
    """The path of the tasks in Ben's default list."""
    lists = ben.get("/me/todo/lists")["value"]
    default = next(each for each in lists if each["wellknownListName"] == "defaultList")
    return f"/me/todo/lists/{default['id']}/tasks"


def _round(ben: GraphClient, path: str, **options: Any) -> tuple[list[dict[str, Any]], str]:
    """One round of delta: all changes, and the link for the next round."""
    pages = ben.pages(path, **options)
    assert all("@odata.deltaLink" not in each for each in pages[:-1])
    return [item for each in pages for item in each["value"]], pages[-1]["@odata.deltaLink"]


def test_lists_and_tasks_can_be_read_and_made(ben: GraphClient, tasks: str) -> None:
    """A new list is empty; a new task has what each task has."""
    made = ben.send("POST", "/me/todo/lists", json={"displayName": "Garden"})
    assert (made.status_code, made.json()["wellknownListName"]) == (201, "none")
    assert ben.get(f"/me/todo/lists/{made.json()['id']}")["displayName"] == "Garden"
    assert ben.all(f"/me/todo/lists/{made.json()['id']}/tasks") == []
    task = ben.send("POST", tasks, json={"title": "Buy seeds"})
    assert (task.status_code, task.json()["status"], task.json()["importance"]) == (201, "notStarted", "normal")
    assert ben.get(f"{tasks}/{task.json()['id']}")["title"] == "Buy seeds"
    assert len(ben.all(tasks)) == 4


def test_a_task_is_changed_and_deleted(ben: GraphClient, tasks: str) -> None:
    """Completing notes when; gone, it is 404."""
    first = ben.all(tasks)[0]
    path = f"{tasks}/{first['id']}"
    done = ben.send("PATCH", path, json={"status": "completed"}).json()
    assert (done["title"], done["completedDateTime"]["timeZone"]) == (first["title"], "UTC")
    assert done["@odata.etag"] != first["@odata.etag"]
    assert "completedDateTime" not in ben.send("PATCH", path, json={"status": "inProgress"}).json()
    assert ben.send("DELETE", path).status_code == 204
    assert error_in(ben.send("DELETE", path)) == (404, "ErrorItemNotFound")


def test_tasks_are_filtered_and_come_in_pages(ben: GraphClient, tasks: str) -> None:
    """As other collections."""
    for number in range(9):
        ben.tenant.data.add_task(BEN, title=f"Task {number}", status="completed")
    assert [len(each["value"]) for each in ben.pages(tasks)] == [10, 2]
    assert len(ben.all(tasks, params={"$filter": "status eq 'completed'"})) == 9


def test_delta_tells_everything_then_only_changes(ben: GraphClient, tasks: str) -> None:
    """New, changed and deleted tasks, each once; nothing when nothing happened."""
    everything, link = _round(ben, f"{tasks}/delta")
    assert {each["id"] for each in everything} == {each["id"] for each in ben.all(tasks)}
    nothing, link = _round(ben, link)
    assert nothing == []
    new = ben.tenant.data.add_task(BEN, title="New")
    changed, deleted, _ = everything
    ben.send("PATCH", f"{tasks}/{changed['id']}", json={"title": "Other"})
    ben.send("PATCH", f"{tasks}/{changed['id']}", json={"status": "completed"})
    ben.send("DELETE", f"{tasks}/{deleted['id']}")
    found, link = _round(ben, link)
    by_id = {each["id"]: each for each in found}
    assert by_id.keys() == {new["id"], changed["id"], deleted["id"]}
    assert len(found) == 3
    assert (by_id[changed["id"]]["title"], by_id[changed["id"]]["status"]) == ("Other", "completed")
    assert by_id[deleted["id"]] == {"id": deleted["id"], "@removed": {"reason": "deleted"}}
    assert _round(ben, link)[0] == []


def test_a_first_round_does_not_tell_of_what_is_gone(ben: GraphClient, tasks: str) -> None:
    """A task that was made and deleted before."""
    gone = ben.send("POST", tasks, json={"title": "Gone"}).json()["id"]
    ben.send("DELETE", f"{tasks}/{gone}")
    assert gone not in [each["id"] for each in _round(ben, f"{tasks}/delta")[0]]


def test_a_task_deleted_during_the_first_round_is_told_of(ben: GraphClient, tasks: str) -> None:
    """It was on a page that the app has already read."""
    page = ben.get(f"{tasks}/delta?$top=1")
    deleted = page["value"][0]["id"]
    ben.send("DELETE", f"{tasks}/{deleted}")
    rest, _ = _round(ben, page["@odata.nextLink"])
    assert {"id": deleted, "@removed": {"reason": "deleted"}} in rest


@pytest.mark.parametrize(
    "options", [{"params": {"$top": "2"}}, {"headers": {"Prefer": "odata.maxpagesize=2"}}], ids=["top", "prefer"]
)
def test_delta_pages_keep_size_and_selection(ben: GraphClient, tasks: str, options: dict[str, Any]) -> None:
    """The links carry what the first request asked for; a link needs no header."""
    wanted = {"params": options.get("params", {}) | {"$select": "title"}, "headers": options.get("headers", {})}
    first = ben.get(f"{tasks}/delta", **wanted)
    assert len(first["value"]) == 2
    second = ben.get(first["@odata.nextLink"])
    assert [set(each) for each in second["value"]] == [{"id", "@odata.etag", "title"}]
    for _ in range(3):
        ben.tenant.data.add_task(BEN, title="More")
    later = ben.get(second["@odata.deltaLink"])
    assert [set(each) for each in later["value"]] == [{"id", "@odata.etag", "title"}] * 2
    assert "@odata.nextLink" in later


def test_the_function_s_full_form_works_too(ben: GraphClient, tasks: str) -> None:
    """As Microsoft's SDKs call it, with links of the same form."""
    found, link = _round(ben, f"{tasks}/delta()", params={"$top": "2"})
    assert len(found) == 3
    assert _round(ben, link)[0] == []


def test_an_expired_delta_link_is_gone(ben: GraphClient, tasks: str) -> None:
    """410 with where to start again; starting again works."""
    _, link = _round(ben, f"{tasks}/delta")
    ben.tenant.data.expire_delta_links(BEN)
    answer = ben.send("GET", link)
    assert error_in(answer) == (410, "syncStateNotFound")
    assert answer.headers["Location"].endswith("/delta?$deltatoken=")
    assert len(_round(ben, answer.headers["Location"])[0]) == 3


def test_a_foreign_delta_token_is_refused(ben: GraphClient, tasks: str) -> None:
    """A made-up one makes no sense; one of another list has no state here."""
    assert error_in(ben.send("GET", f"{tasks}/delta?$deltatoken=abc")) == (400, "invalidRequest")
    ada = GraphClient(ben.tenant, ADA, *TASKS)
    other = ada.get("/me/todo/lists")["value"][0]["id"]
    _, link = _round(ada, f"/me/todo/lists/{other}/tasks/delta")
    token = link.partition("$deltatoken=")[2]
    assert error_in(ben.send("GET", f"{tasks}/delta?$deltatoken={token}")) == (410, "syncStateNotFound")


@pytest.mark.parametrize("body", [{}, {"title": ""}, {"title": "X", "status": "bored"}])
def test_a_task_needs_a_title_and_a_known_status(ben: GraphClient, tasks: str, body: dict[str, str]) -> None:
    """400, and nothing is made."""
    assert error_in(ben.send("POST", tasks, json=body)) == (400, "invalidRequest")
    assert len(ben.all(tasks)) == 3


def test_unknown_lists_and_tasks_are_not_found(ben: GraphClient, tasks: str) -> None:
    """404; and a list needs a name."""
    assert error_in(ben.send("GET", "/me/todo/lists/none/tasks")) == (404, "ErrorItemNotFound")
    assert error_in(ben.send("PATCH", f"{tasks}/none", json={})) == (404, "ErrorItemNotFound")
    assert error_in(ben.send("POST", "/me/todo/lists", json={})) == (400, "invalidRequest")
