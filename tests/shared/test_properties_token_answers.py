"""Properties: no answer of a token endpoint, however odd, raises an unexpected exception, and only answers that say so
set a person aside."""

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msal import SerializableTokenCache

from shared.accounts import Account, Outcome
from shared.clients.http import HttpClient
from shared.error_codes import ERROR_CODES
from shared.identity import Acquired, Identity
from shared.identity.classification import classify
from shared.sealing import KeyRing
from shared.settings import load
from tests.shared.odd_endpoint import TENANT, OddEndpoint, http_answer

CLIENT_ID = "c0a5b1de-4f2b-4d0e-9a11-7e5f3a0c0001"
SIGN_IN_ERRORS = {"invalid_grant", "interaction_required", "consent_required", "login_required"}
WITHOUT_A_TOKEN = {Outcome.UNAVAILABLE, Outcome.UNREADABLE, Outcome.SIGN_IN_REQUIRED}  # while the endpoint says 503
ENOUGH = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
TOKEN_FIELDS = {
    "access_token": st.text(max_size=40) | JSON,
    "token_type": st.just("Bearer") | JSON,
    "expires_in": st.integers() | st.text("0123456789", max_size=30) | JSON,
    "ext_expires_in": st.integers() | JSON,
    "refresh_in": st.integers() | JSON,
    "refresh_token": st.text(max_size=40) | JSON,
    "scope": st.text(max_size=40) | JSON,
    "id_token": st.text(max_size=40) | st.just("a.e30.c") | JSON,
    "client_info": st.text(max_size=40) | st.just("e30") | JSON,
    "foci": JSON,
    "key_id": JSON,
}
ERRORS = st.sampled_from([*sorted(SIGN_IN_ERRORS), "invalid_client", "server_error"]) | JSON
ERROR_FIELDS = {
    "error_description": st.text(max_size=40) | st.from_regex(r"AADSTS\d{1,9}", fullmatch=True) | JSON,
    "error_codes": st.lists(st.integers(), max_size=2) | JSON,
    "suberror": st.text(max_size=80) | JSON,
    "correlation_id": JSON,
    "claims": JSON,
    "classification": JSON,
}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OddEndpoint]:
    """The endpoint, for all examples."""
    with OddEndpoint(tmp_path_factory.mktemp("odd")) as running:
        yield running


ENCRYPTION_KEYS = "k1:" + base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
KEYS = KeyRing.parse(ENCRYPTION_KEYS)
ACCOUNT_ID = f"u.{TENANT}"


@pytest.fixture(scope="module")
def identity(endpoint: OddEndpoint) -> Iterator[Identity]:
    """MSAL behind our transport, against that endpoint. It remembers no refusal of an earlier request."""
    environment = {
        "CLIENT_ID": CLIENT_ID,
        "CLIENT_SECRET": "secret",
        "AUTHORITY": endpoint.authority,
        "BASE_URL": "http://localhost:7071",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "ENCRYPTION_KEYS": ENCRYPTION_KEYS,
    }
    http = HttpClient(ca_bundle=endpoint.ca_bundle, connect_seconds=5, longest_seconds=5)
    yield Identity(load(environment), http, http_cache=dict)
    http.close()


def cache_of(endpoint: OddEndpoint) -> str:
    """A token cache with a refresh token and nothing fresher."""
    info = base64.urlsafe_b64encode(json.dumps({"uid": "u", "utid": TENANT}).encode()).decode().rstrip("=")
    claims = base64.urlsafe_b64encode(json.dumps({"oid": "u", "tid": TENANT, "sub": "s"}).encode()).decode().rstrip("=")
    cache = SerializableTokenCache()
    response = {"refresh_token": "r", "client_info": info, "id_token": f"h.{claims}.s", "token_type": "Bearer"}
    cache.add(
        {
            "client_id": CLIENT_ID,
            "scope": ["User.Read"],
            "token_endpoint": f"{endpoint.authority}/oauth2/v2.0/token",
            "response": response,
        }
    )
    return str(cache.serialize())


def acquire(identity: Identity, token_cache: str) -> Acquired:
    """One silent acquisition with this stored cache."""
    sealed = KEYS.seal_cache(token_cache, ACCOUNT_ID)
    acquisition = identity.acquisition(
        Account(account_id=ACCOUNT_ID, tenant_id=TENANT, scopes=("User.Read",), sealed_cache=sealed)
    )
    if acquisition.prepare():
        acquisition.send()
    return acquisition.complete()


def ask(identity: Identity, endpoint: OddEndpoint, answer: bytes) -> Acquired:
    """One silent acquisition that meets this answer."""
    endpoint.answer = answer
    result = acquire(identity, cache_of(endpoint))
    assert isinstance(result.verdict.outcome, Outcome)
    assert bool(result.access_token) == (result.verdict.outcome is Outcome.FRESH)
    if result.access_token:
        assert isinstance(result.verdict.token_expires_at, datetime)
        assert result.access_token.isascii()
        assert result.access_token.isprintable()
        assert result.sealed_cache is None or json.loads(KEYS.open_cache(result.sealed_cache, ACCOUNT_ID))
    return result


def test_a_plain_answer_is_fresh(identity: Identity, endpoint: OddEndpoint) -> None:
    """The harness works: these properties could fail."""
    body = {"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r2"}
    result = ask(identity, endpoint, http_answer(200, json.dumps(body).encode()))
    assert (result.verdict.outcome, result.access_token) == (Outcome.FRESH, "a")


@ENOUGH
@given(body=st.binary(max_size=300), status=st.integers(200, 599), headers=st.binary(max_size=60))
@example(body=b"[" * 100_000, status=200, headers=b"")
@example(body='{"access_token": "a"}'.encode("utf-16"), status=200, headers=b"")
@example(body=b"", status=429, headers=b"Retry-After: \xb2\r\n")
@example(body=b"", status=429, headers=b"Retry-After: Mon, 01 Jan 0001 00:00:00 +1400\r\n")
@example(body=b"x", status=200, headers=b"Content-Encoding: gzip\r\n")
def test_any_bytes_are_a_verdict_and_set_nobody_aside(
    identity: Identity, endpoint: OddEndpoint, body: bytes, status: int, headers: bytes
) -> None:
    """This holds for any bytes."""
    result = ask(identity, endpoint, http_answer(status, body, headers))
    assert result.verdict.outcome in (Outcome.UNAVAILABLE, Outcome.THROTTLED)


@ENOUGH
@given(answer=st.binary(max_size=200))
def test_what_is_no_http_is_unavailable(identity: Identity, endpoint: OddEndpoint, answer: bytes) -> None:
    """The answer has not even a status line."""
    assert ask(identity, endpoint, answer).verdict.outcome in (Outcome.UNAVAILABLE, Outcome.THROTTLED)


@ENOUGH
@given(fields=st.fixed_dictionaries({}, optional=TOKEN_FIELDS), status=st.sampled_from([200, 201, 400, 401]))
@example(fields={"access_token": "a", "expires_in": "9" * 4000}, status=200)
@example(fields={"access_token": "a", "expires_in": 10**14}, status=200)
@example(fields={"access_token": "a", "expires_in": -(10**14)}, status=200)
@example(fields={"access_token": "a\r\nb"}, status=200)
@example(fields={"access_token": "\ud800"}, status=200)
@example(fields={"access_token": "a", "refresh_token": "\ud800"}, status=200)
@example(fields={"access_token": "a", "id_token": "a.bnVsbA.c"}, status=200)
def test_any_token_answer_is_fresh_or_unavailable(
    identity: Identity, endpoint: OddEndpoint, fields: dict[str, Any], status: int
) -> None:
    """The fields have odd values."""
    body = json.dumps(fields).encode()
    assert ask(identity, endpoint, http_answer(status, body)).verdict.outcome in (Outcome.FRESH, Outcome.UNAVAILABLE)


@ENOUGH
@given(fields=st.fixed_dictionaries({"error": ERRORS}, optional=ERROR_FIELDS), status=st.integers(400, 401))
def test_only_sign_in_errors_set_somebody_aside(
    identity: Identity, endpoint: OddEndpoint, fields: dict[str, Any], status: int
) -> None:
    """The OAuth error or the number's row says so. Nothing else asks anybody to sign in again."""
    verdict = ask(identity, endpoint, http_answer(status, json.dumps(fields).encode())).verdict
    plain = all(isinstance(value, str) for value in fields.values())
    assert verdict == classify(fields) or not plain or fields["error"] in ("server_error", "temporarily_unavailable")
    if verdict.outcome is Outcome.SIGN_IN_REQUIRED:
        assert fields["error"] in SIGN_IN_ERRORS or ERROR_CODES[verdict.code].outcome is Outcome.SIGN_IN_REQUIRED
    for word in (verdict.code, verdict.suberror, verdict.correlation_id):
        assert len(word) <= 64
        assert word.isprintable()
        assert " " not in word


@ENOUGH
@given(
    cache=JSON | st.fixed_dictionaries({"RefreshToken": JSON, "Account": JSON, "AccessToken": JSON, "IdToken": JSON})
)
@example(cache={"RefreshToken": {"k": {}}, "Account": {"k": {}}})
@example(cache={"RefreshToken": {"k": {"client_id": CLIENT_ID}}, "Account": {"k": {"home_account_id": 1}}})
@example(cache={"AccessToken": {"k": {"target": None}}, "Account": {}})
def test_any_stored_cache_is_a_verdict(identity: Identity, endpoint: OddEndpoint, cache: Any) -> None:
    """The cache may come from another SDK or an old version."""
    endpoint.answer = http_answer(503, b"")
    result = acquire(identity, json.dumps(cache))
    assert result.verdict.outcome in WITHOUT_A_TOKEN
    assert (result.access_token, result.sealed_cache) == ("", None)


@ENOUGH
@given(
    section=st.sampled_from(["RefreshToken", "Account", "AccessToken", "IdToken", "AppMetadata"]),
    field=st.sampled_from(
        [
            "home_account_id",
            "environment",
            "realm",
            "client_id",
            "secret",
            "target",
            "username",
            "expires_on",
            "credential_type",
        ]
    ),
    value=JSON,
    drop=st.booleans(),
)
def test_a_cache_with_one_odd_field_is_a_verdict(
    identity: Identity, endpoint: OddEndpoint, section: str, field: str, value: Any, *, drop: bool
) -> None:
    """It is a real cache with one field replaced or missing."""
    endpoint.answer = http_answer(503, b"")
    cache = json.loads(cache_of(endpoint))
    for entry in cache.get(section, {}).values():
        entry.pop(field, None)
        if not drop:
            entry[field] = value
    result = acquire(identity, json.dumps(cache))
    assert result.verdict.outcome in WITHOUT_A_TOKEN
    assert (result.access_token, result.sealed_cache) == ("", None)
