"""One suite for Microsoft's runtime library and localdev's host: what holds under one holds under the other."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from localdev.host import IndexedFunction
from localdev.tenant import SampleTenant
from localdev.tenant.visitor import Visitor
from shared.accounts import MOST_JSON_BYTES, Account, all_slots
from shared.services import Services
from tests.running_app import RunningApp
from tests.runtime.settings import BASE_URL
from tests.runtime.workers import Answer, LibraryWorker, Worker


@dataclass(frozen=True)
class SignedIn:
    """A person who has signed in."""

    began: Answer
    ended: Answer

    @property
    def headers(self) -> dict[str, str]:
        """The headers that their browser sends."""
        return {"Cookie": self.ended.cookie_header, "Accept": "application/json"}


def sign_in(worker: Worker, username: str) -> SignedIn:
    """From /signin over the tenant's pages to the callback."""
    began = worker.http("signin", "GET", "/signin?next=/me")
    with requests.Session() as http:
        http.trust_env = False
        callback = Visitor(http).sign_in(began.headers["location"], username)
    target = callback.removeprefix(BASE_URL)
    ended = worker.http("signin_callback", "GET", target, {"Cookie": began.cookie_header})
    assert ended.status == 303, ended
    return SignedIn(began, ended)


def everybody(storage: Services) -> list[Account]:
    """All accounts."""
    far = storage.now() + timedelta(days=9999)
    return [account for slot in all_slots() for page in storage.store.due(slot, far) for account in page]


def make_due(storage: Services) -> Account:
    """Makes the one account due."""
    (account,) = everybody(storage)
    return make_this_due(account, storage)


def make_this_due(account: Account, storage: Services, **changes: Any) -> Account:
    """Saves the account as if its person had left long ago, with these changes."""
    long_ago = storage.now() - timedelta(hours=2)
    return storage.store.wake(replace(account, due_at=long_ago, last_activity=long_ago, **changes))


def described(trigger: Mapping[str, object]) -> str:
    """A function's trigger in one line."""
    if "route" in trigger:
        methods = trigger["methods"]
        assert isinstance(methods, list)
        names = ",".join(str(getattr(each, "value", each)) for each in methods)
        return f"{names} {trigger['route']} {str(trigger['authLevel']).upper()}"
    return str(trigger.get("schedule") or trigger.get("queueName"))


def test_both_index_the_same_functions(library: LibraryWorker, functions: tuple[IndexedFunction, ...]) -> None:
    """Names, triggers, methods, routes and authorization levels are the same."""
    triggers = library.triggers()
    assert {name: described(trigger) for name, trigger in triggers.items()} == {
        each.name: described(each.trigger.properties) for each in functions
    }


def test_every_http_function_answers_a_stranger(worker: Worker) -> None:
    """Every method and route has an answer below 500."""
    for name, trigger in worker.triggers().items():
        if "route" in trigger:
            method, route, _ = described(trigger).split(" ")
            path = re.sub(r"\{[^}]*\?\}", "", route).replace("{", "").replace("}", "")
            assert worker.http(name, method.split(",")[0], f"/{path}", {"Accept": "text/html"}).status < 500, name


def test_pages_come_with_their_headers(worker: Worker) -> None:
    """The home page and the stylesheet: bytes, types, security headers."""
    home = worker.http("home", "GET", "/")
    assert home.status == 200
    assert home.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in home.headers["content-security-policy"]
    assert b"<html" in home.body
    style = worker.http("style", "GET", "/style.css")
    assert (style.status, style.headers["content-type"].split(";")[0]) == (200, "text/css")
    icon = worker.http("icon", "GET", "/icon.svg")
    assert (icon.status, icon.headers["content-type"].split(";")[0]) == (200, "image/svg+xml")


def test_sign_in_sets_both_cookies_and_redirects(worker: Worker) -> None:
    """The callback starts a session and ends the flow: one answer with two whole Set-Cookie headers."""
    person = sign_in(worker, "chiara@contoso.example")
    assert person.began.status == 303
    (flow,) = person.began.cookies
    assert (flow.secure, flow.http_only, flow.same_site) == (True, True, "lax")
    assert "/signin/callback".startswith(flow.path)
    assert flow.max_age == 600
    session, dropped = person.ended.cookies
    assert person.ended.headers["location"] == "/me"
    assert (session.path, session.secure, session.http_only, session.same_site) == ("/", True, True, "lax")
    assert session.name.startswith("__Secure-")
    assert session.max_age is not None
    assert session.max_age > 0
    assert (dropped.name, dropped.max_age) == (flow.name, 0)


def test_session_cookie_comes_back_and_graph_answers(worker: Worker) -> None:
    """The app finds its cookie among others, and answers with JSON."""
    person = sign_in(worker, "chiara@contoso.example")
    cookie = f"theme=dark; {person.headers['Cookie']}; last=1"
    answer = worker.http("me", "GET", "/me", person.headers | {"Cookie": cookie})
    assert answer.status == 200
    assert b"Chiara Rossi" in answer.body
    assert answer.headers["cache-control"] == "no-store"


def test_photo_is_bytes(worker: Worker) -> None:
    """A picture arrives byte by byte."""
    person = sign_in(worker, "ben@contoso.example")
    answer = worker.http("me_photo", "GET", "/me/photo", person.headers)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("image/")
    assert answer.body[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0", b"GIF8")


def test_timer_sweeps_who_is_away(worker: Worker, storage: Services, sample_tenant: SampleTenant) -> None:
    """The timer's JSON is read; the person's token is fresh, and their task ran."""
    sign_in(worker, "ben@contoso.example")
    make_due(storage)
    assert worker.timer("sweep")
    (account,) = everybody(storage)
    assert account.last_swept_at is not None
    assert account.task_state["profile_changes"]["changed_at"]
    assert sample_tenant.log()["refresh_tokens_redeemed"] == 1


def test_queue_message_sweeps_its_slot(worker: Worker, storage: Services) -> None:
    """The message's text names the slot."""
    sign_in(worker, "ben@contoso.example")
    due = make_due(storage)
    assert worker.queue("sweep_slot", due.slot)
    (account,) = everybody(storage)
    assert account.last_swept_at is not None


def test_a_handler_that_raises_is_reported_as_failed(worker: Worker, storage: Services) -> None:
    """A message that names no slot fails, so that the host tries again and then moves it away."""
    assert not worker.queue("sweep_slot", "no such slot")


def test_what_our_own_threads_log_arrives(worker: Worker, storage: Services, sample_tenant: SampleTenant) -> None:
    """The host drops records without the invocation's id: eight failing tasks and one traceback are all there, whether
    a timer or a queue message began the sweep."""
    fail = [f"{name}@contoso.example" for name in ("ada", "ben", "chiara", "deniz")]
    for username in [*fail, "emi@contoso.example"]:
        sign_in(worker, username)
    for username in fail:
        sample_tenant.add_fault("graph", "status", status=500, username=username)
    too_much = {"of_another_task": {"text": "x" * (MOST_JSON_BYTES - 60)}}
    for account in everybody(storage):
        make_this_due(account, storage, **({} if account.username in fail else {"task_state": too_much}))
    assert worker.timer("sweep")
    failed = [line for line in worker.log if line.startswith("INFO task profile_changes: ")]
    (unexpected,) = (line for line in worker.log if line.startswith("ERROR task profile_changes failed"))
    assert len(failed) == 4
    assert "Traceback (most recent call last):" in unexpected
    assert "ValueError: the state of all tasks" in unexpected
    slots = {make_this_due(each, storage).slot for each in everybody(storage) if each.username in fail}
    assert all(worker.queue("sweep_slot", slot) for slot in slots)
    assert len([line for line in worker.log if line.startswith("INFO task profile_changes: ")]) == 8


def test_sign_out_reads_a_form_and_ends_the_session(worker: Worker, storage: Services) -> None:
    """A POST has a body; the session ends with a Set-Cookie with max-age=0."""
    person = sign_in(worker, "emi@contoso.example")
    form = {"Origin": BASE_URL, "Content-Type": "application/x-www-form-urlencoded"}
    answer = worker.http("signout", "POST", "/signout", person.headers | form, b"keep=background-work")
    assert answer.status == 303
    (ended,) = answer.cookies
    assert ended.max_age == 0
    assert len(everybody(storage)) == 1
    assert worker.http("me", "GET", "/me", person.headers).status == 401


def test_bytes_that_are_no_text_are_refused_politely(worker: Worker) -> None:
    """Any bytes in a body and any characters in a cookie get an answer below 500."""
    answer = worker.http("signout", "POST", "/signout", {"Origin": BASE_URL}, bytes(range(256)))
    assert answer.status < 500
    assert worker.http("me", "GET", "/me", {"Cookie": '=;;,"; a=b=c; \x7f=1'}).status == 401


def test_errors_are_answers_too(worker: Worker) -> None:
    """An unknown callback and another site's POST are refused with an answer."""
    assert worker.http("signin_callback", "GET", "/signin/callback?code=x&state=y").status == 400
    assert worker.http("signout", "POST", "/signout", {"Origin": "https://elsewhere.example"}).status == 403


@pytest.mark.parametrize("code", ["no-key", "x" * 2000, "{key}"])
def test_the_callbacks_code_is_never_asked_to_be_a_key(app: RunningApp, code: str) -> None:
    """The host reads a query parameter `code` as a function key, on anonymous functions too (azure-functions-host,
    AuthenticationLevelHandler.cs): whatever it is, the app answers the callback, and no key lets anybody in."""
    sent = code.format(key=app.host.key)
    answer = app.browser().get(f"/signin/callback?code={sent}&state=y")
    assert (answer.status_code, "set-cookie" in answer.headers) == (400, False)
    assert answer.headers["content-security-policy"]
    assert app.browser().get(f"/readyz?code={sent}").status_code == (200 if code == "{key}" else 401)


def test_api_without_a_token_is_refused(worker: Worker) -> None:
    """Three functions share one route and differ by method. No origin is listed."""
    assert worker.http("api_profile", "GET", "/api/profile").status == 401
    assert worker.http("api_profile_delete", "DELETE", "/api/profile").status == 401
    assert worker.http("api_profile_preflight", "OPTIONS", "/api/profile").status == 403
