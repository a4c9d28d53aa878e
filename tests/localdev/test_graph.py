"""The sample Graph: profile, photo, calendar, and its refusals."""

import base64
import json
import time
from typing import Any

import pytest

from localdev.tenant import CONTOSO, SampleTenant
from tests.localdev.tenant_actors import ADA, BEN, GRETA, Clock, WebApp, claims_in, graph_get, session


@pytest.fixture
def token(web: WebApp) -> str:
    """Ben's access token for Graph, from an app that understands claims challenges."""
    web.options["client_capabilities"] = ["CP1"]
    return str(web.sign_in(BEN, "User.Read", "Calendars.Read")["access_token"])


def test_shows_the_profile(tenant: SampleTenant, token: str) -> None:
    """With the object ID of the token, and only what was selected."""
    everything = graph_get(tenant, "/me", token).json()
    assert (everything["displayName"], everything["mail"]) == ("Ben Okafor", BEN)
    assert everything["id"] == claims_in(token)["oid"]
    some = graph_get(tenant, "/me?$select=id,jobTitle,nothing", token).json()
    assert some.keys() == {"@odata.context", "id", "jobTitle"}


def test_shows_a_guests_profile_in_this_tenant(web: WebApp) -> None:
    """The id is that of Contoso's object."""
    token = web.sign_in(GRETA)["access_token"]
    assert claims_in(token)["tid"] == CONTOSO.tid
    assert graph_get(web.tenant, "/me", token).json()["id"] == claims_in(token)["oid"]


@pytest.mark.parametrize("path", ["/me/photo/$value", "/me/photos/48x48/$value"])
def test_shows_a_photo_or_says_there_is_none(web: WebApp, token: str, path: str) -> None:
    """A PNG; 404 in Graph's shape."""
    photo = graph_get(web.tenant, path, token)
    assert photo.headers["Content-Type"] == "image/png"
    assert photo.content.startswith(b"\x89PNG\r\n\x1a\n")
    other = WebApp(web.tenant).sign_in("farid@contoso.example")["access_token"]
    missing = graph_get(web.tenant, path, other)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "ImageNotFound")


def _calendar(tenant: SampleTenant, token: str, **query: str) -> Any:
    wanted = {"startDateTime": "2026-03-02T00:00:00Z", "endDateTime": "2026-03-07T00:00:00Z"} | query
    return graph_get(tenant, "/me/calendarView", token, params=wanted)


def test_shows_the_same_calendar_every_time(tenant: SampleTenant, token: str) -> None:
    """Events of a working week, in order, inside the time asked for."""
    events = _calendar(tenant, token).json()["value"]
    assert len(events) >= 5
    starts = [each["start"]["dateTime"] for each in events]
    assert starts == sorted(starts)
    assert all("2026-03-02" <= each < "2026-03-07" for each in starts)
    assert _calendar(tenant, token).json()["value"] == events
    few = _calendar(tenant, token, **{"$top": "2", "$select": "subject"}).json()["value"]
    assert [set(each) for each in few] == [{"id", "subject"}] * 2
    assert [each["id"] for each in few] == [each["id"] for each in events[:2]]
    assert _calendar(tenant, token, endDateTime="2026-03-02T00:00:00Z").json()["value"] == []


@pytest.mark.parametrize("query", [{"startDateTime": "tomorrow"}, {"startDateTime": ""}, {"$top": "many"}])
def test_a_calendar_needs_its_times(tenant: SampleTenant, token: str, query: dict[str, str]) -> None:
    """400 in Graph's shape."""
    answer = _calendar(tenant, token, **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ErrorInvalidParameter")


def test_a_scope_that_is_missing_is_forbidden(web: WebApp) -> None:
    """The calendar without Calendars.Read."""
    answer = _calendar(web.tenant, web.sign_in(ADA)["access_token"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ErrorAccessDenied")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "api://other"},
        {"exp": 1},
        {"nbf": int(time.time()) + 3600},
        {"oid": "nobody"},
    ],
)
def test_evil_tokens_are_refused(tenant: SampleTenant, token: str, changes: dict[str, Any]) -> None:
    """They are refused although the tenant's key signed them."""
    assert _status(tenant, tenant.sign(claims_in(token))) == 200
    assert _status(tenant, tenant.sign(claims_in(token) | changes)) == 401


def test_other_signatures_are_refused(web: WebApp, token: str) -> None:
    """Changed, unsigned, missing, or no access token at all."""
    header, claims, signature = token.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    flipped = signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")
    id_token = web.sign_in(BEN)["id_token"]
    for evil in (f"{header}.{claims}.{flipped}", f"{none}.{claims}.", "garbage", "", id_token):
        assert _status(web.tenant, evil) == 401


def _status(tenant: SampleTenant, token: str) -> int:
    answer = graph_get(tenant, "/me", token)
    if answer.status_code == 401:
        assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    return answer.status_code


def test_an_expired_token_is_refused(tenant: SampleTenant, token: str, clock: Clock) -> None:
    """By the tenant's clock."""
    clock.ahead = 3601
    assert _status(tenant, token) == 401


def _challenge(tenant: SampleTenant, token: str) -> str:
    """The claims that Graph asks for, as JSON; "" when it doesn't."""
    answer = graph_get(tenant, "/me", token)
    if answer.status_code == 200:
        return ""
    header = answer.headers["WWW-Authenticate"]
    assert header.startswith('Bearer realm="", authorization_uri="')
    assert 'error="insufficient_claims"' in header
    return base64.b64decode(header.partition('claims="')[2].rstrip('"')).decode()


def test_challenges_tokens_from_before_an_event(web: WebApp, token: str) -> None:
    """Continuous access evaluation: the token must be newer; a refresh with those claims is."""
    web.tenant.change_person(BEN, state="continuous_access")
    claims = _challenge(web.tenant, token)
    assert int(json.loads(claims)["access_token"]["nbf"]["value"]) <= time.time()
    newer = web.silent(force_refresh=False, claims_challenge=claims)
    assert newer["token_source"] == "identity_provider"
    assert _challenge(web.tenant, newer["access_token"]) == ""


def test_a_revocation_can_be_seen_at_graph_first(web: WebApp, token: str) -> None:
    """The challenge leads to a refresh, and that refresh is refused."""
    web.tenant.change_person(BEN, state="revoked", continuous_access=True)
    refused = web.silent(force_refresh=False, claims_challenge=_challenge(web.tenant, token))
    assert refused["error_codes"] == [50173]


def test_does_not_challenge_who_would_not_understand(web: WebApp) -> None:
    """Without the capability CP1 a token stays good until it expires."""
    token = web.sign_in(BEN)["access_token"]
    web.tenant.change_person(BEN, state="continuous_access")
    assert _status(web.tenant, token) == 200


def test_echoes_and_makes_request_ids(tenant: SampleTenant, token: str) -> None:
    """The answer repeats client-request-id, and request-id is new each time."""
    headers = {"Authorization": f"Bearer {token}", "client-request-id": "abc"}
    first, second = (session(tenant).get(f"{tenant.graph_url}/v1.0/me", headers=headers) for _ in range(2))
    assert first.headers["client-request-id"] == "abc"
    assert first.headers["request-id"] != second.headers["request-id"]


def test_knows_no_more_of_graph(tenant: SampleTenant, token: str) -> None:
    """404 in Graph's shape, and a profile can't be written."""
    assert graph_get(tenant, "/me/drive", token).json()["error"]["code"] == "Request_ResourceNotFound"
    headers = {"Authorization": f"Bearer {token}"}
    assert session(tenant).patch(f"{tenant.graph_url}/v1.0/me", headers=headers).status_code == 405


def test_takes_a_national_clouds_token_and_its_own_address(web: WebApp) -> None:
    """The audience may be any Graph root, the sample's own among them."""
    for resource in ("https://graph.microsoft.us", web.tenant.graph_url):
        token = WebApp(web.tenant).sign_in(BEN, f"{resource}/User.Read")["access_token"]
        assert claims_in(token)["aud"] == resource
        assert _status(web.tenant, token) == 200


def test_refuses_the_apps_own_api_token(web: WebApp) -> None:
    """The token has another audience."""
    assert _status(web.tenant, web.sign_in(BEN, f"api://{web.tenant.client_id}/access_as_user")["access_token"]) == 401
