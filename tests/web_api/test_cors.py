"""CORS is off by default. With a list, only the listed origins may call and read."""

from collections.abc import Callable

import pytest

from tests.running_app import RunningApp
from tests.web_api.api_client import api_token, call

OURS, THEIRS = "https://app.contoso.example", "https://evil.example"
PREFLIGHT = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
BEN = "ben@contoso.example"


def cors_headers(app: RunningApp, origin: str, **options: str) -> dict[str, str]:
    """The headers of the answer that concern other origins."""
    answer = call(app, Origin=origin, **options)
    return {name: value for name, value in answer.headers.items() if name.lower().startswith("access-control")}


def test_no_origin_is_listed_by_default(app: RunningApp) -> None:
    """No preflight is granted and no answer is shared. Same-origin and other clients are not affected."""
    preflight = call(app, method="OPTIONS", Origin=OURS, **PREFLIGHT)
    assert preflight.status_code == 403
    assert "Access-Control-Allow-Origin" not in preflight.headers
    assert cors_headers(app, OURS) == {}
    assert "Vary" not in call(app).headers
    assert call(app, api_token(app.tenant, BEN)).status_code == 200


def test_a_listed_origin_may_call_and_read(start_app: Callable[..., RunningApp]) -> None:
    """The preflight lists the methods and the one header. The answer is shared without credentials."""
    app = start_app(CORS_ORIGINS=f"http://localhost:3000, {OURS}/")
    preflight = call(app, method="OPTIONS", Origin=OURS, **PREFLIGHT)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == OURS
    assert preflight.headers["Access-Control-Allow-Methods"] == "GET, DELETE"
    assert preflight.headers["Access-Control-Allow-Headers"] == "Authorization"
    assert preflight.headers["Vary"] == "Origin"
    answer = call(app, api_token(app.tenant, BEN), Origin=OURS)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, OURS)
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_listed_origin_can_read_why_it_was_refused(start_app: Callable[..., RunningApp]) -> None:
    """WWW-Authenticate is exposed: it holds the claims challenge."""
    app = start_app(CORS_ORIGINS=OURS)
    refused = call(app, Origin=OURS)
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] == OURS
    assert "WWW-Authenticate" in refused.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("origin", [THEIRS, "null", f"{OURS}.evil.example", OURS.replace("https", "http"), ""])
def test_any_other_origin_is_told_nothing(start_app: Callable[..., RunningApp], origin: str) -> None:
    """A similar origin gets nothing either. `Vary` tells caches that the answer depends on the origin."""
    app = start_app(CORS_ORIGINS=OURS)
    assert cors_headers(app, origin) == {}
    assert cors_headers(app, origin, method="OPTIONS") == {}
    assert call(app, method="OPTIONS", Origin=origin).status_code == 403
    assert call(app, Origin=origin).headers["Vary"] == "Origin"


@pytest.mark.parametrize("value", ["*", "https://app.contoso.example/path", "app.contoso.example", "http://a.example"])
def test_what_is_no_origin_is_a_settings_error(start_app: Callable[..., RunningApp], value: str) -> None:
    """A wildcard is refused too."""
    answer = call(start_app(CORS_ORIGINS=value))
    assert answer.status_code == 500
    assert "CORS_ORIGINS" in answer.json()["detail"]
