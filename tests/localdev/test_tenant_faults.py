"""Misbehaviour, as a raw client sees it."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
import requests

from localdev.tenant import SampleTenant
from tests.localdev.tenant_actors import ADA, BEN, Clock, WebApp, graph_get, post_token, refresh, session
from tests.support import wait_until

SOON = 0.2


@pytest.fixture
def held(web: WebApp) -> str:
    """Ben's refresh token."""
    web.sign_in(BEN)
    return web.refresh_token()


@pytest.mark.parametrize("retry_after", [7, "Wed, 21 Oct 2015 07:28:00 GMT", None])
def test_throttles_with_and_without_a_time(tenant: SampleTenant, held: str, retry_after: float | str | None) -> None:
    """429; Retry-After as seconds, as a date, or not at all. Once, because so told."""
    tenant.add_fault("token", "throttle", retry_after=retry_after, times=1)
    answer = refresh(tenant, held)
    assert answer.status_code == 429
    assert answer.headers.get("Retry-After") == (None if retry_after is None else str(retry_after))
    assert refresh(tenant, held).status_code == 200
    log = tenant.log()
    assert (log["faults"], log["refused"], log["refresh_tokens_redeemed"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("facts", "status", "body"),
    [
        ({"kind": "status", "status": 500}, 500, "server_error"),
        ({"kind": "status", "status": 503, "retry_after": 3}, 503, "temporarily_unavailable"),
        ({"kind": "html"}, 200, "<!DOCTYPE html>"),
        ({"kind": "html", "status": 502}, 502, "<!DOCTYPE html>"),
        ({"kind": "empty"}, 200, ""),
        ({"kind": "oauth_error", "body": {"error": "invalid_grant", "error_codes": [1]}}, 400, "invalid_grant"),
    ],
)
def test_answers_something_else(
    tenant: SampleTenant, held: str, facts: dict[str, object], status: int, body: str
) -> None:
    """And does nothing of what was asked."""
    tenant.add_fault("token", **facts)  # type: ignore[arg-type]  # the kind is among them
    answer = refresh(tenant, held)
    assert answer.status_code == status
    assert body in answer.text
    assert bool(body) == bool(answer.text)
    assert tenant.log()["refresh_tokens_redeemed"] == 0


def test_an_error_told_to_give_counts_as_refused(tenant: SampleTenant, held: str) -> None:
    """With its code, like one that the tenant thought of itself."""
    tenant.add_fault("token", "oauth_error", body={"error": "invalid_grant", "error_codes": [50173]})
    refresh(tenant, held)
    assert [each["code"] for each in tenant.log()["refusals"]] == [50173]


def test_cuts_json_off(tenant: SampleTenant, held: str) -> None:
    """The length is honest, the JSON is not whole; the work was done."""
    tenant.add_fault("token", "truncated")
    answer = refresh(tenant, held)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        answer.json()
    assert tenant.log()["refresh_tokens_redeemed"] == 1


@pytest.mark.parametrize(("kind", "redeemed"), [("reset", 0), ("reset_midway", 1)])
def test_breaks_the_connection_off(tenant: SampleTenant, held: str, kind: str, redeemed: int) -> None:
    """Before the work, or in the middle of the answer to it."""
    tenant.add_fault("token", kind)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        refresh(tenant, held)
    assert tenant.log()["refresh_tokens_redeemed"] == redeemed


def _until_reset(tenant: SampleTenant, path: str) -> bytes:
    """Reads below TLS, where a reset can be told from an end, and returns what arrived before it."""
    incoming, outgoing, arrived = ssl.MemoryBIO(), ssl.MemoryBIO(), b""
    context = ssl.create_default_context(cafile=str(tenant.ca_bundle))
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", urlsplit(tenant.authority).port or 0), timeout=5) as raw:
        while not _shaken(tls):
            raw.sendall(outgoing.read())
            incoming.write(raw.recv(65536))
        tls.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        raw.sendall(outgoing.read())
        with pytest.raises(ConnectionResetError):
            _drain(raw, incoming)
    with suppress(ssl.SSLWantReadError):
        while True:
            arrived += tls.read(65536)
    return arrived


def _drain(raw: socket.socket, incoming: ssl.MemoryBIO) -> None:
    while chunk := raw.recv(65536):
        incoming.write(chunk)


def _shaken(tls: ssl.SSLObject) -> bool:
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def test_resets_for_real(tenant: SampleTenant) -> None:
    """With an RST, also under TLS: at once, or after half an answer."""
    path = "/common/discovery/instance"
    tenant.add_fault("discovery", "reset", times=1)
    assert _until_reset(tenant, path) == b""
    tenant.add_fault("discovery", "reset_midway", times=1)
    half = _until_reset(tenant, path)
    assert half.startswith(b"HTTP/1.1 200 OK")
    assert b"tenant_discovery_endpoint" in half
    assert b"aliases" not in half


@pytest.mark.parametrize(("kind", "redeemed"), [("hang", 0), ("hang_midway", 1)])
def test_hangs_until_the_client_goes(tenant: SampleTenant, held: str, kind: str, redeemed: int) -> None:
    """The client's own time-out ends it; nothing is left behind."""
    tenant.add_fault("token", kind)
    with pytest.raises((requests.ReadTimeout, requests.ConnectionError), match="timed out"):
        post_token(tenant, {"grant_type": "refresh_token", "refresh_token": held}, timeout=SOON)
    assert tenant.log()["refresh_tokens_redeemed"] == redeemed
    wait_until(lambda: tenant.open_requests() == 0, "the tenant lets the request go")


@contextmanager
def _hanging(tenant: SampleTenant) -> Iterator[list[Exception]]:
    """A request that hangs meanwhile in another thread; what became of it."""
    ends: list[Exception] = []

    def ask() -> None:
        try:
            post_token(tenant, {"grant_type": "refresh_token", "refresh_token": "x"}, timeout=30)
        except requests.RequestException as error:
            ends.append(error)

    tenant.add_fault("token", "hang")
    thread = threading.Thread(target=ask)
    thread.start()
    wait_until(lambda: tenant.log()["faults"] == 1, "the request hangs")
    yield ends
    thread.join(10)
    assert not thread.is_alive()


def test_clearing_the_faults_lets_go(tenant: SampleTenant) -> None:
    """Who hangs gets a reset."""
    with _hanging(tenant) as ends:
        tenant.clear_faults()
    assert [type(each) for each in ends] == [requests.ConnectionError]


def test_stopping_lets_go() -> None:
    """stop() does not wait for the client, and ends the thread."""
    before = threading.active_count()
    tenant = SampleTenant()
    tenant.start()
    with _hanging(tenant) as ends:
        begun = time.monotonic()
        tenant.stop()
        assert time.monotonic() - begun < 3
    assert len(ends) == 1
    assert threading.active_count() == before


def test_can_be_meant_for_one_person_or_one_grant(web: WebApp) -> None:
    """Others go on undisturbed."""
    ada, tenant = WebApp(web.tenant), web.tenant
    web.sign_in(BEN)
    tenant.add_fault("token", "status", status=500, username=BEN, grant="refresh_token")
    ada.sign_in(ADA)
    assert "access_token" in ada.silent()
    assert refresh(tenant, web.refresh_token()).status_code == 500
    web.sign_in(BEN)


def test_happens_where_it_is_told(web: WebApp) -> None:
    """Discovery, keys, user realm and Graph have faults of their own."""
    tenant, http = web.tenant, session(web.tenant)
    token = web.sign_in(BEN)["access_token"]
    urls = {
        "discovery": tenant.authority + "/v2.0/.well-known/openid-configuration",
        "keys": tenant.authority + "/discovery/v2.0/keys",
        "userrealm": tenant.authority_of("common") + f"/userrealm/{BEN}",
    }
    for where, url in urls.items():
        tenant.add_fault(where, "status", status=503, times=1)
        assert [http.get(url).status_code for _ in range(2)] == [503, 200]
    tenant.add_fault("graph", "throttle", retry_after=5, username=BEN, times=1)
    throttled = graph_get(tenant, "/me", token)
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "5")
    assert throttled.json()["error"]["code"] == "TooManyRequests"
    tenant.add_fault("graph", "reset", times=1)
    with pytest.raises(requests.ConnectionError):
        graph_get(tenant, "/me", token)
    assert graph_get(tenant, "/me", token).status_code == 200


def test_can_be_slow(tenant: SampleTenant, held: str) -> None:
    """Requests wait side by side, not one after the other."""
    tenant.change_settings(latency=0.15)
    threads = [threading.Thread(target=refresh, args=(tenant, held)) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert tenant.log()["peak_token_requests"] > 1


@pytest.mark.parametrize(
    "facts", [{"where": "moon", "kind": "html"}, {"where": "token", "kind": "tea"}, {"where": "token"}]
)
def test_refuses_nonsense(tenant: SampleTenant, facts: dict[str, str]) -> None:
    """A typing error must not pass for a fault."""
    url = f"{tenant.page_url}/control/faults"
    assert session(tenant).post(url, json=facts).status_code == 400


def test_a_wrong_clock_is_no_fault(tenant: SampleTenant, held: str, clock: Clock) -> None:
    """The tenant's clock may be ahead: tokens say so, refreshes go on."""
    clock.ahead = 3600
    assert refresh(tenant, held).status_code == 200
