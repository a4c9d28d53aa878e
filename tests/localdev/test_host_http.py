"""Requests and responses, as the Functions host and its Python worker pass them on."""

import http.client
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import azure.functions as func
import pytest
import requests

from localdev.host import LocalHost
from tests.localdev.host_apps import new_app, serving

Handler = Callable[..., Any]
Headers = tuple[tuple[str, str | bytes], ...]


def returning(value: object) -> Handler:
    """A handler that always returns the same."""

    def handler(req: func.HttpRequest):  # type: ignore[no-untyped-def]  # noqa: ANN202 - an annotation would be checked
        return value

    return handler


def app_of(handler: Handler, route: str = "x/{*rest}", **options: Any) -> func.FunctionApp:
    """One handler behind one route."""
    app = new_app()
    app.function_name("x")(app.route(route=route, **options)(handler))
    return app


def raw(host: LocalHost, method: str, path: str, headers: Headers = (), body: Any = None) -> http.client.HTTPResponse:
    """Send a request without a client that normalizes paths and headers."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(host.url).port or 0, timeout=10)
    try:
        own_host = any(name == "Host" for name, _ in headers)
        connection.putrequest(method, path, skip_host=own_host, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body, encode_chunked=("Transfer-Encoding", "chunked") in headers)
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


class OneHost:
    """A host with one handler, which each test chooses."""

    def __init__(self) -> None:
        self.host: LocalHost
        self.handler: Handler = returning("ok")

    def app(self) -> func.FunctionApp:
        """Everything under /x goes to the chosen handler."""

        def handler(req: func.HttpRequest):  # type: ignore[no-untyped-def]  # noqa: ANN202 - it would be checked
            return self.handler(req)

        return app_of(handler)

    def seen(self, method: str, path: str, headers: Headers = (), body: Any = None) -> func.HttpRequest:
        """The request that the handler gets when exactly this is sent."""
        got: list[func.HttpRequest] = []

        def handler(req: func.HttpRequest) -> str:
            got.append(req)
            return "ok"

        self.handler = handler
        assert raw(self.host, method, path, headers, body).status == 200
        return got[0]

    def answer(self, make: Callable[[], Any], method: str = "GET") -> requests.Response:
        """The client's view of what a handler returns."""
        self.handler = lambda _: make()
        return requests.request(method, f"{self.host.url}/x", timeout=10)

    def set_cookies(self, *values: str) -> list[str]:
        """The Set-Cookie headers that leave the host for these values."""

        def make() -> func.HttpResponse:
            response = func.HttpResponse("x")
            for value in values:
                response.headers.add("Set-Cookie", value)
            return response

        cookies: list[str] = self.answer(make).raw.headers.getlist("set-cookie")
        return cookies


@pytest.fixture(scope="module")
def one() -> Iterator[OneHost]:
    """One host for all tests that need no settings."""
    chosen = OneHost()
    with serving(chosen.app()) as host:
        chosen.host = host
        yield chosen


def test_header_names_arrive_in_lower_case_and_duplicates_joined(one: OneHost) -> None:
    """Values of one name are joined with a comma and no space."""
    got = one.seen("GET", "/x", (("X-One", "a"), ("x-one", "b")))
    assert dict(got.headers)["x-one"] == "a,b"
    assert all(name == name.lower() for name in got.headers)


def test_header_values_are_utf8(one: OneHost) -> None:
    """Kestrel reads them so; any other bytes are a bad request."""
    assert one.seen("GET", "/x", (("X-A", "é".encode()),)).headers["x-a"] == "é"
    with serving(app_of(returning("x"))) as host:
        assert raw(host, "GET", "/x", (("X-A", b"\xe9"),)).status == 400


def test_repeated_query_names_are_joined_and_empty_values_absent(one: OneHost) -> None:
    """Names ignore case and keep their first spelling."""
    got = one.seen("GET", "/x?a=1&a=2&b=&c&D=%C3%A9+1&d=2&a=")
    assert dict(got.params) == {"a": "1,2", "D": "é 1,2"}


def test_route_parameters_arrive_as_texts_with_escaped_slashes(one: OneHost) -> None:
    """Everything is decoded except %2F."""
    assert dict(one.seen("GET", "/x/caf%C3%A9/a%2Fb").route_params) == {"rest": "café/a%2Fb"}


def test_the_url_is_the_public_one(one: OneHost) -> None:
    """It has the scheme, the Host header, the escaped path, and the query unchanged."""
    connection = one.seen("GET", "/x/caf%C3%A9%20a?q=%20b&e=")
    assert connection.url.endswith("/x/caf%C3%A9%20a?q=%20b&e=")
    assert connection.url.startswith(f"http://{connection.headers['host']}/")


def test_a_body_arrives_as_bytes(one: OneHost) -> None:
    """The content type doesn't matter, and JSON can be read from the bytes."""
    got = one.seen("POST", "/x", (("Content-Type", "application/json"), ("Content-Length", "9")), b'{"a": 1}\n')
    assert got.get_body() == b'{"a": 1}\n'
    assert got.get_json() == {"a": 1}


def test_no_body_is_empty_bytes(one: OneHost) -> None:
    """The handler gets b"", not None."""
    assert one.seen("POST", "/x", (("Content-Length", "0"),)).get_body() == b""


def test_a_chunked_body_arrives_empty(one: OneHost) -> None:
    """The host reads a body only when its length is announced."""
    assert one.seen("POST", "/x", (("Transfer-Encoding", "chunked"),), [b"lost"]).get_body() == b""


def test_status_headers_and_body_go_out(one: OneHost) -> None:
    """They are sent as the handler set them."""
    got = one.answer(lambda: func.HttpResponse(b"\xff", status_code=418, headers={"X-A": "1"}, mimetype="image/png"))
    assert (got.status_code, got.content, got.headers["x-a"]) == (418, b"\xff", "1")
    assert got.headers["content-type"] == "image/png"


def test_text_has_its_charset(one: OneHost) -> None:
    """The converter adds the charset."""
    assert one.answer(lambda: func.HttpResponse("é")).headers["content-type"] == "text/plain; charset=utf-8"


def test_a_text_result_is_the_body(one: OneHost) -> None:
    """A handler may return a str."""
    got = one.answer(lambda: "é")
    assert (got.status_code, got.text, got.headers["content-type"]) == (200, "é", "text/plain; charset=utf-8")


def test_a_json_text_with_a_body_is_a_whole_response(one: OneHost) -> None:
    """The host reads status and headers from it."""
    got = one.answer(lambda: json.dumps({"body": "b", "statusCode": 202, "headers": {"x-a": "1"}}))
    assert (got.status_code, got.text, got.headers["x-a"]) == (202, "b", "1")


def test_of_repeated_headers_the_last_one_wins(one: OneHost) -> None:
    """This holds for every header except Set-Cookie."""

    def make() -> func.HttpResponse:
        response = func.HttpResponse("x")
        response.headers.add("X-A", "1")
        response.headers.add("X-A", "2")
        return response

    assert one.answer(make).raw.headers.getlist("x-a") == ["2"]


def test_a_cookie_is_written_as_the_host_writes_it(one: OneHost) -> None:
    """The value is escaped, the attributes are in ASP.NET Core's order, and the domain is empty."""
    sent = "s=a=b/c; Path=/me; Secure; HttpOnly; SameSite=Lax; Max-Age=60; Expires=Wed, 21 Oct 2015 07:28:00 GMT"
    (written,) = one.set_cookies(sent)
    value, *attributes = written.split("; ")
    assert value == "s=a%3Db%2Fc"
    assert attributes[:2] == ["expires=Wed, 21 Oct 2015 07:28:00 GMT", "max-age=60"]
    assert attributes[2:] == ["domain=", "path=/me", "secure", "samesite=lax", "httponly"]


def test_several_cookies_all_go_out(one: OneHost) -> None:
    """Each cookie has its own header."""
    assert one.set_cookies("a=1", "b=2; Domain=example.com; SameSite=None") == [
        "a=1; domain=; path=",
        "b=2; domain=example.com; path=; samesite=none",
    ]


def test_base64url_values_pass_unchanged(one: OneHost) -> None:
    """The app's cookies use them for this reason."""
    assert one.set_cookies("__Secure-s=Ab-_09.~") == ["__Secure-s=Ab-_09.~; domain=; path="]


def test_a_cookie_that_simplecookie_cannot_parse_vanishes(one: OneHost) -> None:
    """Nothing is logged, as in Azure."""
    assert one.set_cookies("a=1; NoSuchFlag", "b=2") == ["b=2; domain=; path="]


def test_a_bad_cookie_age_is_an_error(one: OneHost) -> None:
    """The worker can't convert it."""

    def make() -> func.HttpResponse:
        return func.HttpResponse("x", headers={"Set-Cookie": "a=1; Max-Age=-1"})

    assert one.answer(make).status_code == 500


def test_encoding_takes_the_cookies_out_of_a_response() -> None:
    """A response must therefore not be used twice."""
    shared = func.HttpResponse("x", headers={"Set-Cookie": "a=1"})
    with serving(app_of(returning(shared))) as host:
        first, second = (requests.get(f"{host.url}/x", timeout=10) for _ in range(2))
    assert first.headers["set-cookie"] == "a=1; domain=; path="
    assert "set-cookie" not in second.headers


def test_an_exception_is_an_empty_500_and_a_traceback_in_the_log(
    one: OneHost, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets nothing of it."""

    def fails() -> None:
        raise LookupError("deep trouble")

    got = one.answer(fails)
    assert (got.status_code, got.content) == (500, b"")
    assert "LookupError: deep trouble" in caplog.text


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, StopIteration])
def test_no_exception_ends_the_host(error: type[BaseException]) -> None:
    """Even exceptions that end other programs don't end it."""

    def handler(req: func.HttpRequest) -> str:
        raise error

    with serving(app_of(handler)) as host:
        codes = [requests.get(host.url + path, timeout=10).status_code for path in ("/x", "/x", "/")]
    assert codes == [500, 500, 200]


@pytest.mark.parametrize("value", [None, {"a": 1}, 5, b"x"])
def test_a_result_that_is_no_response_is_a_500(one: OneHost, value: object) -> None:
    """The converter refuses it."""
    assert one.answer(lambda: value).status_code == 500


def test_a_header_with_a_line_break_is_a_500(one: OneHost) -> None:
    """A header that can't be sent fails the request."""

    def make() -> func.HttpResponse:
        response = func.HttpResponse("x")
        response.headers["X-A"] = "é"
        return response

    assert one.answer(make).status_code == 500


def test_head_has_no_body(one: OneHost) -> None:
    """The headers are those of a GET."""
    got = one.answer(lambda: func.HttpResponse("12345"), method="HEAD")
    assert (got.status_code, got.headers["content-length"], got.content) == (200, "5", b"")


def test_204_has_neither_body_nor_length(one: OneHost) -> None:
    """RFC 9110, section 15.3.5, allows neither."""
    got = one.answer(lambda: func.HttpResponse(status_code=204))
    assert (got.status_code, got.content) == (204, b"")
    assert "content-length" not in got.headers


def test_an_unknown_path_and_a_wrong_method_are_404() -> None:
    """The host has no 405: methods are part of the route."""
    with serving(app_of(returning("x"), "x", methods=["GET"])) as host:
        codes = [requests.request(m, host.url + p, timeout=10).status_code for m, p in (("GET", "/y"), ("POST", "/x"))]
    assert codes == [404, 404]


def test_the_route_prefix_comes_first() -> None:
    """It comes from host.json."""
    with serving(app_of(returning("x"), "x"), prefix="api") as host:
        codes = [requests.get(host.url + path, timeout=10).status_code for path in ("/api/x", "/x")]
    assert codes == [200, 404]


@pytest.mark.parametrize(
    ("settings", "route", "status", "said"),
    [
        ({}, "x", 200, "local Functions host"),
        ({"AzureWebJobsDisableHomepage": "true"}, "x", 204, ""),
        ({"AzureWebJobsDisableHomepage": "true"}, "{ignored:maxlength(0)?}", 200, "mine"),
        ({}, "{ignored:maxlength(0)?}", 200, "mine"),
    ],
)
def test_the_hosts_home_page_gives_way(settings: dict[str, str], route: str, status: int, said: str) -> None:
    """A setting turns it off, and a function at the root replaces it."""
    with serving(app_of(returning("mine"), route), settings=settings) as host:
        got = requests.get(host.url, timeout=10)
    assert got.status_code == status
    assert said in got.text


def test_admin_and_runtime_belong_to_the_host() -> None:
    """A route that takes every path doesn't get them."""
    with serving(app_of(returning("mine"), "{*all}")) as host:
        codes = [requests.get(host.url + path, timeout=10).status_code for path in ("/admin/x", "/runtime/y", "/z")]
    assert codes == [404, 404, 200]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/admin/host/ping", "/admin/warmup", "/Admin/Host/Ping"])
def test_ping_and_warmup_need_no_key(one: OneHost, method: str, path: str) -> None:
    """Azure's front ends call them."""
    assert requests.request(method, one.host.url + path, timeout=10).status_code == 200


@pytest.mark.parametrize("name", ["evil.example", "localhost.evil.example", "evil.example:7071", "[", "10.0.0.1", ""])
@pytest.mark.parametrize("path", ["/admin/host/ping", "/admin/functions", "/admin/functions/x", "/x/../Admin/warmup"])
def test_own_paths_of_the_host_refuse_a_foreign_name(one: OneHost, path: str, name: str) -> None:
    """A page under a name that was pointed at 127.0.0.1 could read and post there."""
    one.handler = returning("ok")
    assert raw(one.host, "POST", path, (("Host", name),)).status == 400
    assert raw(one.host, "GET", "/x", (("Host", name),)).status == 200


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:7071", "127.0.0.1", "127.0.0.1:80", "[::1]:7071"])
def test_own_paths_of_the_host_know_this_machines_names(one: OneHost, name: str) -> None:
    """With any port, as behind a tunnel."""
    assert raw(one.host, "GET", "/admin/host/ping", (("Host", name),)).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/host/status", 200),
        ("/admin/functions", 200),
        ("/ADMIN/functions", 200),
        ("/runtime/webhooks/x", 404),
        ("/runtime/webhooks/x/y", 404),
        ("/locked", 200),
        ("/for_admins", 200),
    ],
)
def test_without_a_key_the_answer_is_401(locked: LocalHost, path: str, status: int) -> None:
    """The header wins over the query; a wrong or empty key opens nothing."""
    wrong: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"x-functions-key": "wrong"}, {"code": locked.key}),
        ({"x-functions-key": ""}, {"code": locked.key}),
        ({}, {"code": "wrong"}),
    ]
    right: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"x-functions-key": locked.key}, {}),
        ({"x-functions-key": locked.key}, {"code": "wrong"}),
        ({}, {"code": locked.key}),
    ]

    def statuses(cases: list[tuple[dict[str, str], dict[str, str]]]) -> set[int]:
        url = locked.url + path
        return {requests.get(url, query, headers=headers, timeout=10).status_code for headers, query in cases}

    assert (statuses(wrong), statuses(right)) == ({401}, {status})


@pytest.fixture(scope="module")
def locked() -> Iterator[LocalHost]:
    """A host with two functions that need a key."""
    app = new_app()
    for name, level in (("locked", func.AuthLevel.FUNCTION), ("for_admins", func.AuthLevel.ADMIN)):
        app.function_name(name)(app.route(route=name, auth_level=level)(returning("in")))
    with serving(app) as host:
        yield host


def test_an_anonymous_function_takes_any_code(one: OneHost) -> None:
    """A sign-in's answer has a parameter `code`, too; it reaches the handler."""
    assert one.seen("GET", "/x?code=no-key").params["code"] == "no-key"


def test_the_key_may_be_given_and_else_is_new() -> None:
    """A setting gives it; without one, each host has its own."""
    keys = [LocalHost([], settings=settings).key for settings in ({"LOCALDEV_HOST_KEY": "mine"}, {}, {})]
    assert keys[0] == "mine"
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("target", "rest"),
    [
        ("/x/.", ""),
        ("/a/../x", ""),
        ("/../x/a/./b", "a/b"),
        ("/x/a/%2e%2E/b", "b"),
        ("/x/a..b/.c", "a..b/.c"),
        ("/x/a/b/..", "a/"),
        ("http://elsewhere.example/x/a", "a"),
        ("HTTP://elsewhere.example/b/../x?q=1", ""),
    ],
)
def test_a_target_is_read_as_kestrel_reads_it(one: OneHost, target: str, rest: str) -> None:
    """Dot segments are removed, escaped ones too, and a whole URL is a valid target."""
    assert dict(one.seen("GET", target).route_params) == ({"rest": rest} if rest else {})


def test_dot_segments_lead_nowhere_else(one: OneHost) -> None:
    """They don't leave the root, and they don't avoid a key."""
    with serving(app_of(returning("mine"), "{*all}")) as host:
        codes = [raw(host, "GET", path).status for path in ("/..", "/a/../admin/functions", "/./admin/host/ping")]
    assert codes == [200, 401, 200]


def test_a_disabled_function_is_404() -> None:
    """The app setting AzureWebJobs.<name>.Disabled disables it."""
    with serving(app_of(returning("x"), "x"), settings={"AzureWebJobs.x.Disabled": "true"}) as host:
        assert requests.get(f"{host.url}/x", timeout=10).status_code == 404


def side_by_side(handlers: int, settings: dict[str, str]) -> set[int]:
    """The statuses of this many requests whose handlers wait for each other."""
    together = threading.Barrier(handlers, timeout=20)

    def handler(req: func.HttpRequest) -> str:
        return str(together.wait())

    with serving(app_of(handler), settings=settings) as host, ThreadPoolExecutor(handlers) as clients:
        return set(clients.map(lambda _: requests.get(f"{host.url}/x", timeout=30).status_code, range(handlers)))


def test_plain_handlers_run_side_by_side() -> None:
    """More run than in Python's default pool: the host gives the worker 1000 threads when the setting is absent."""
    assert side_by_side(min(32, (os.cpu_count() or 1) + 4) + 1, {}) == {200}


def test_the_number_of_threads_is_a_setting() -> None:
    """PYTHON_THREADPOOL_THREAD_COUNT handlers run side by side, and no more."""
    assert side_by_side(2, {"PYTHON_THREADPOOL_THREAD_COUNT": "2"}) == {200}
    running, most = [0], [0]

    def handler(req: func.HttpRequest) -> str:
        running[0] += 1
        most[0] = max(most[0], running[0])
        running[0] -= 1
        return "ok"

    with (
        serving(app_of(handler), settings={"PYTHON_THREADPOOL_THREAD_COUNT": "1"}) as host,
        ThreadPoolExecutor(8) as clients,
    ):
        list(clients.map(lambda _: requests.get(f"{host.url}/x", timeout=30), range(50)))
    assert most == [1]


def test_a_number_of_threads_that_is_none_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """The worker warns and uses Python's default."""
    with serving(app_of(returning("ok")), settings={"PYTHON_THREADPOOL_THREAD_COUNT": "many"}) as host:
        assert requests.get(f"{host.url}/x", timeout=10).status_code == 200
    assert "PYTHON_THREADPOOL_THREAD_COUNT must be a positive whole number" in caplog.text


def test_async_handlers_are_awaited_and_get_their_context() -> None:
    """The context has the function's name and the invocation's id."""

    async def handler(req: func.HttpRequest, context: func.Context) -> str:
        return f"{context.function_name} {len(context.invocation_id)}"

    with serving(app_of(handler)) as host:
        assert requests.get(f"{host.url}/x", timeout=10).text == "x 36"


def test_the_log_tells_begin_and_end_without_payloads(caplog: pytest.LogCaptureFixture) -> None:
    """Both are INFO; the end has the outcome and the duration."""
    with caplog.at_level(logging.INFO), serving(app_of(returning("secret answer"))) as host:
        requests.post(f"{host.url}/x?code=secret", data="secret body", timeout=10)
    said = [record.getMessage() for record in caplog.records if record.name == "localdev.host"]
    assert said[0].startswith("Executing 'Functions.x' (")
    assert said[1].startswith("Executed 'Functions.x' (Succeeded, Id=")
    assert "secret" not in caplog.text
