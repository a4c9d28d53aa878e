"""Thousands of requests to each route, generated from docs/openapi.yaml and then made invalid.

100 per route by default; 10,000 with `python3 dev.py test --long tests/security/test_fuzz.py`.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from urllib3 import BaseHTTPResponse

from localdev.host import IndexedFunction
from localdev.host.routes import Router
from tests.running_app import RunningApp
from tests.security import hostile
from tests.security.storage import etags
from tests.support import LONG, ROOT

REQUESTS = 10_000 if LONG else 100
SCHEMA = schemathesis.openapi.from_path(ROOT / "docs" / "openapi.yaml")
OPERATIONS = [each.ok() for each in SCHEMA.get_all_operations() if isinstance(each, Ok)]
Case = schemathesis.Case[Any]
CONFORMANCE = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ADA = "ada@contoso.example"
# The default number of requests is the same set each time.
thorough = settings(
    max_examples=REQUESTS,
    database=None,
    derandomize=not LONG,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def http() -> Iterator[requests.Session]:
    """A client that stores no cookies."""
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", _NoCookieJar())
        yield session


class _NoCookieJar(HTTPAdapter):
    """Keeps no cookies; and Python's cookie jar raises on a Host header such as "["."""

    def build_response(self, req: requests.PreparedRequest, resp: BaseHTTPResponse) -> requests.Response:
        message: Any = getattr(resp, "_original_response").msg  # noqa: B009 - what the cookie jar reads; it has no public name
        del message["Set-Cookie"]
        return super().build_response(req, resp)


def sent(
    http: requests.Session,
    app: RunningApp,
    case: Case,
    *,
    cookie: str,
    headers: dict[str, str],
    query: str,
) -> requests.Response:
    """Sends a case of the schema with what a stranger adds."""
    given = case.as_transport_kwargs(base_url=app.url, headers=headers)
    given.pop("cookies", None)
    prepared = requests.Request(**given).prepare()
    if query:
        prepared.url = f"{prepared.url}{'&' if '?' in str(prepared.url) else '?'}{query}"
    if cookie:
        prepared.headers["Cookie"] = cookie.encode("latin-1")  # type: ignore[assignment]
    for name, value in headers.items():
        prepared.headers[name] = value.encode("latin-1")  # type: ignore[assignment]
    if case.path == "/readyz":
        prepared.headers["x-functions-key"] = app.host.key  # without it the host answers, and the app isn't reached
    return http.send(prepared, allow_redirects=False)


def judge(case: Case, response: requests.Response) -> None:
    """Checks an answer: no failure of ours, no internals shown, nothing that the OpenAPI file doesn't describe."""
    unready = case.path == "/readyz" and response.status_code == 503  # this is its purpose
    assert response.status_code < 500 or unready, (response.status_code, response.text[:300])
    assert "Traceback" not in response.text
    if response.content or response.status_code not in (400, 404):  # an empty 400 or 404 is the Functions host's own
        case.validate_response(response, checks=CONFORMANCE)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_strangers_break_nothing_and_write_nothing(operation: Any, app: RunningApp, http: requests.Session) -> None:
    """Without a valid session or token, no request changes a row."""
    browser = app.browser()
    browser.sign_in(ADA)
    session = str(browser.http.cookies.get("understudy"))
    browser.post("/signout")
    app.browser().sign_in("ben@contoso.example")
    callback = browser.to_callback(ADA)
    flows = {each.name: str(each.value) for each in browser.http.cookies if "-flow-" in each.name}
    flow_cookie = "; ".join(f"{name}={value}" for name, value in flows.items())
    state = callback.partition("?")[2].partition("&")[0]
    before = etags(app.services.tables)
    answers: Counter[int] = Counter()

    @thorough
    @given(
        case=operation.as_strategy(),
        cookie=hostile.cookies(session, next(iter(flows.values()))) | st.just(flow_cookie),
        headers=hostile.headers(app.url),
        query=hostile.queries()
        | st.sampled_from(["state=x&code=y", state + "&code=y", state + "&error=y", callback[-9:]]),
    )
    def fuzz(case: Case, cookie: str, headers: dict[str, str], query: str) -> None:
        response = sent(http, app, case, cookie=cookie, headers=headers, query=query)
        answers[response.status_code] += 1
        judge(case, response)

    fuzz()
    assert answers.total() >= REQUESTS
    assert etags(app.services.tables) == before


READING = [each for each in OPERATIONS if each.method.upper() == "GET"]


@pytest.mark.parametrize("operation", READING, ids=lambda operation: operation.label)
def test_operator_who_types_nonsense_breaks_nothing(
    operation: Any, start_app: Callable[..., RunningApp], http: requests.Session
) -> None:
    """An operator's odd requests end in no failure, and no row appears or disappears."""
    app = start_app(ADMIN_ROLE="Understudy.Operator")
    app.tenant.change_person(ADA, roles=["Understudy.Operator"])
    browser = app.browser()
    browser.sign_in(ADA)
    cookie = f"understudy={browser.http.cookies.get('understudy')}"
    rows = {table: set(keys) for table, keys in etags(app.services.tables).items()}
    answers: Counter[int] = Counter()
    enough = max(REQUESTS // 10, 25)

    @settings(thorough, max_examples=enough)
    @given(case=operation.as_strategy(), headers=hostile.headers(app.url), query=hostile.queries())
    def fuzz(case: Case, headers: dict[str, str], query: str) -> None:
        response = sent(http, app, case, cookie=cookie, headers=headers, query=query)
        answers[response.status_code] += 1
        judge(case, response)

    fuzz()
    assert answers.total() >= enough
    assert {table: set(keys) for table, keys in etags(app.services.tables).items()} == rows


def test_every_route_is_described(functions: tuple[IndexedFunction, ...]) -> None:
    """docs/openapi.yaml has the routes that the app registers, and no others."""
    routes = Router(functions, prefix="").routes
    registered = {(method, _path(route.template)) for route in routes for method in route.methods}
    described = {(operation.method.upper(), operation.path) for operation in OPERATIONS}
    assert described == registered


def _path(template: str) -> str:
    return "/" if template.startswith("{ignored") else f"/{template}"
