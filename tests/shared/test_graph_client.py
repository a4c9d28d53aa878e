"""The Graph client, against the sample Graph: pages, deltas, writes, throttling, faults, challenges."""

from datetime import timedelta
from typing import Any

import pytest

from localdev.tenant import SampleTenant
from shared.clients.answers import HttpAnswer
from shared.clients.graph import Graph
from shared.clients.http import HttpClient
from shared.errors import DeltaExpired, GraphError
from tests.localdev.graph_client import GraphClient
from tests.running_app import Clock
from tests.shared.scripted_server import answering

BEN = "ben@contoso.example"
PERMISSIONS = ("Mail.Read", "Mail.Send", "Calendars.ReadWrite", "Tasks.ReadWrite", "User.Read")


@pytest.fixture
def clock() -> Clock:
    """Waiting moves it."""
    return Clock()


@pytest.fixture
def graph(sample_tenant: SampleTenant, clock: Clock) -> Graph:
    """Ben's Graph, as a task has it, for half a minute."""
    token = GraphClient(sample_tenant, BEN, *PERMISSIONS).token
    http = HttpClient(ca_bundle=str(sample_tenant.ca_bundle))
    return Graph(
        http,
        sample_tenant.graph_url,
        token,
        until=clock() + timedelta(seconds=30),
        now=clock,
        wait=clock.wait,
        links={},
    )


def default_list(graph: Graph) -> str:
    """The id of Ben's list of tasks."""
    return str(next(iter(graph.pages("/me/todo/lists")))["id"])


def mail(subject: str = "Hello") -> dict[str, Any]:
    """A message to oneself."""
    return {
        "message": {
            "subject": subject,
            "body": {"contentType": "text", "content": "Hi"},
            "toRecipients": [{"emailAddress": {"address": BEN}}],
        }
    }


def sent(tenant: SampleTenant) -> list[str]:
    """The subjects of what Ben sent."""
    return [each["subject"] for each in tenant.data.mail(BEN)["sent"]]


def test_all_pages_are_followed(graph: Graph, sample_tenant: SampleTenant) -> None:
    """Pages have 10 messages."""
    for number in range(25):
        sample_tenant.data.deliver_mail(BEN, subject=f"m{number}")
    found = list(graph.pages("/me/messages", {"$select": "subject", "$filter": "isRead eq false"}))
    assert {f"m{number}" for number in range(25)} <= {each["subject"] for each in found}


def test_a_link_to_another_host_is_not_followed(graph: Graph, sample_tenant: SampleTenant) -> None:
    """The token is for Graph alone."""
    for number in range(15):
        sample_tenant.data.deliver_mail(BEN, subject=f"m{number}")
    sample_tenant.add_fault("graph", "foreign_links")
    with pytest.raises(GraphError, match="foreign_link"):
        list(graph.pages("/me/messages"))


@pytest.mark.parametrize(
    "path", ["me", "https://evil.example/me", "//evil.example/me", "/me\\x", "/me x", "/me#x", "/me/{id}"]
)
def test_what_is_no_path_is_refused(graph: Graph, path: str) -> None:
    """Nothing is sent."""
    with pytest.raises(ValueError, match=r"path|parameters"):
        graph.get(path)


def test_parameters_are_encoded(graph: Graph) -> None:
    """An id with a slash stays one segment of the path."""
    with pytest.raises(GraphError) as caught:
        graph.get("/me/messages/{id}", id="a/b?c#d")
    assert caught.value.status == 404


def test_delta_gives_everything_first_and_then_what_changed(graph: Graph, sample_tenant: SampleTenant) -> None:
    """Its link is kept once all items were taken; an expired one is dropped, and the next call begins anew."""
    path, tasks = "/me/todo/lists/{list}/tasks/delta", default_list(graph)
    sample_tenant.data.add_task(BEN, title="one")
    first = [each["title"] for each in graph.delta(path, list=tasks)]
    assert "one" in first
    sample_tenant.data.add_task(BEN, title="two")
    next(iter(graph.delta(path, list=tasks)))  # breaks off
    assert [each["title"] for each in graph.delta(path, list=tasks)] == ["two"]
    assert list(graph.delta(path, list=tasks)) == []
    sample_tenant.data.expire_delta_links(BEN)
    with pytest.raises(DeltaExpired):
        list(graph.delta(path, list=tasks))
    assert len(list(graph.delta(path, list=tasks))) == len(first) + 1


def test_a_write_of_each_kind_is_sent(graph: Graph, sample_tenant: SampleTenant) -> None:
    """POST, PATCH and DELETE give what Graph answers; an answer without content is empty."""
    assert graph.post("/me/sendMail", mail()) == {}
    assert sent(sample_tenant) == ["Hello"]
    tasks = default_list(graph)
    made = graph.post("/me/todo/lists/{list}/tasks", {"title": "new"}, list=tasks)
    path, ids = "/me/todo/lists/{list}/tasks/{task}", {"list": tasks, "task": made["id"]}
    assert graph.patch(path, {"title": "newer"}, **ids)["title"] == "newer"
    graph.delete(path, **ids)
    with pytest.raises(GraphError) as caught:
        graph.get(path, **ids)
    assert caught.value.status == 404


@pytest.mark.parametrize("status", [429, 503])
def test_throttling_is_waited_out_for_a_post_too(graph: Graph, sample_tenant: SampleTenant, status: int) -> None:
    """Graph did nothing, and said when it would."""
    sample_tenant.add_fault("graph", "throttle", status=status, retry_after=10, times=1)
    before = graph.now()
    graph.post("/me/sendMail", mail())
    assert sent(sample_tenant) == ["Hello"]
    assert graph.now() - before >= timedelta(seconds=10)


def test_throttling_for_longer_than_the_task_may_last_is_told(graph: Graph, sample_tenant: SampleTenant) -> None:
    """Nothing waits for it."""
    sample_tenant.add_fault("graph", "throttle", retry_after=60)
    with pytest.raises(GraphError) as caught:
        graph.get("/me")
    assert (caught.value.status, caught.value.retry_after) == (429, 60)


def test_a_passing_fault_is_repeated_for_what_is_idempotent(graph: Graph, sample_tenant: SampleTenant) -> None:
    """A GET is; a POST may have happened, and is not."""
    sample_tenant.add_fault("graph", "status", status=502, times=2)
    assert graph.me()["givenName"] == "Ben"
    sample_tenant.add_fault("graph", "reset_midway", times=1, method="POST")
    tasks = default_list(graph)
    with pytest.raises(GraphError):
        graph.post("/me/todo/lists/{list}/tasks", {"title": "once"}, list=tasks)
    found = graph.pages("/me/todo/lists/{list}/tasks", list=tasks)
    assert [each["title"] for each in found].count("once") == 1


def test_what_a_repeated_delete_no_longer_finds_is_deleted(graph: Graph, sample_tenant: SampleTenant) -> None:
    """The first answer was lost."""
    tasks = default_list(graph)
    made = graph.post("/me/todo/lists/{list}/tasks", {"title": "new"}, list=tasks)
    sample_tenant.add_fault("graph", "reset_midway", times=1, method="DELETE")
    graph.delete("/me/todo/lists/{list}/tasks/{task}", list=tasks, task=made["id"])
    with pytest.raises(GraphError):
        graph.delete("/me/todo/lists/{list}/tasks/{task}", list=tasks, task=made["id"])


def test_an_answer_of_5_mib_is_refused(graph: Graph, sample_tenant: SampleTenant) -> None:
    """It would not fit into an instance's memory many times."""
    sample_tenant.add_fault("graph", "large", size=5 * 1024 * 1024)
    with pytest.raises(GraphError, match="unparsable"):
        graph.get("/me")


def test_without_a_wait_the_first_answer_counts(graph: Graph, sample_tenant: SampleTenant) -> None:
    """A page does not keep its person waiting."""
    graph.wait = None
    sample_tenant.add_fault("graph", "throttle", retry_after=1, times=1)
    with pytest.raises(GraphError, match="429"):
        graph.me()


def test_once_needs_a_task(graph: Graph, sample_tenant: SampleTenant) -> None:
    """Without an occurrence there is nothing to be once in; nothing is sent."""
    with pytest.raises(ValueError, match="once"):
        graph.post("/me/sendMail", mail(), once="mail")
    assert sent(sample_tenant) == []


class RecordingClient(HttpClient):
    """Remembers who was sent a token."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.with_token: dict[str, bool] = {}

    def request(self, method: str, url: str, **options: Any) -> HttpAnswer:
        """See HttpClient."""
        self.with_token[url] = "Authorization" in (options.get("headers") or {})
        return super().request(method, url, **options)


def redirecting(target: str) -> bytes:
    """Graph's answer to a download."""
    return f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()


def test_a_download_follows_its_redirect_without_the_token(sample_tenant: SampleTenant) -> None:
    """The address is good for anybody; the token is for Graph alone."""
    target = f"{sample_tenant.authority}/v2.0/.well-known/openid-configuration"
    http = RecordingClient(ca_bundle=str(sample_tenant.ca_bundle))
    with answering(redirecting(target)) as (url, _):
        content = Graph(http, url.rstrip("/"), "token").download("/me/drive/items/{id}/content", id="a b")
    assert b"token_endpoint" in content
    assert http.with_token == {f"{url}v1.0/me/drive/items/a%20b/content": True, target: False}
    http.close()


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/x", "file:///etc/hostname", "//elsewhere.invalid/x", ""])
def test_a_download_is_redirected_to_https_alone(target: str) -> None:
    """Anything else is an error, and is not asked."""
    http = RecordingClient()
    with answering(redirecting(target)) as (url, _), pytest.raises(GraphError, match="redirect"):
        Graph(http, url.rstrip("/"), "token").download("/me/photo/$value")
    assert len(http.with_token) == 1
    http.close()
