"""The HTTP client against real servers: time-outs, proxies, certificates, answers without end."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
import requests

from localdev.tenant import SampleTenant
from shared.clients.answers import HttpAnswer, Throttled, Unavailable, json_object
from shared.clients.http import HttpClient, form
from tests.shared.scripted_server import answering

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


@pytest.fixture
def client() -> Iterator[HttpClient]:
    """A client with short time-outs."""
    client = HttpClient(connect_seconds=2, longest_seconds=0.3, clock=lambda: NOW)
    yield client
    client.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Odd: a\r\n\r\n{}"


def test_headers_are_lower_case_and_the_body_is_whole(client: HttpClient) -> None:
    """MSAL and Graph need both."""
    with answering(OK) as (url, requests):
        answer = client.request("POST", url, headers={"A": "b", "None": None}, body=form({"x": "ä b", "none": None}))
    assert (answer.status_code, answer.headers["x-odd"], answer.text) == (200, "a", "{}")
    assert b"x=%C3%A4+b" in requests[0]
    assert b"None" not in requests[0]


def test_silence_is_a_timeout(client: HttpClient) -> None:
    """This holds before the answer and in the middle of it."""
    held: list[socket.socket] = []

    def hold(connection: socket.socket) -> None:
        held.append(connection.dup())

    def hold_midway(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{")
        held.append(connection.dup())

    with answering(hold, hold_midway) as (url, _):
        for _ in range(2):
            with pytest.raises(Unavailable, match="timeout"):
                client.request("GET", url)
    for each in held:
        each.close()


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", b"what?\r\n\r\n"],
    ids=["closed", "cut short", "not HTTP"],
)
def test_a_broken_answer_is_a_connection_failure(client: HttpClient, answer: bytes) -> None:
    """Nothing returns half an answer."""
    with answering(answer) as (url, _), pytest.raises(Unavailable, match="connection"):
        client.request("GET", url)


def test_only_what_may_be_repeated_is_repeated(client: HttpClient) -> None:
    """Once, after a broken connection."""
    with answering(b"", OK) as (url, requests):
        assert client.request("POST", url, body=b"token", repeatable=True).status_code == 200
    assert len(requests) == 2
    with answering(b"") as (url, requests), pytest.raises(Unavailable):
        client.request("POST", url, body=b"token")
    assert len(requests) == 1


def test_nobody_listening_is_a_connection_failure(client: HttpClient) -> None:
    """An unknown host name is one too."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/", "http://nowhere.invalid/"):
        with pytest.raises(Unavailable, match=r"connection|timeout"):
            client.request("GET", url)


def test_an_endless_answer_is_cut_off(client: HttpClient) -> None:
    """Nothing here needs more than four megabytes."""

    def pour(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            pass

    with answering(pour) as (url, _), pytest.raises(Unavailable, match="unparsable"):
        client.request("GET", url)


def test_certificates_are_checked_against_the_given_bundle(sample_tenant: SampleTenant) -> None:
    """The sample tenant's throw-away CA is trusted where it is named, and nowhere else."""
    url = f"{sample_tenant.authority}/v2.0/.well-known/openid-configuration"
    trusting, strict = HttpClient(ca_bundle=str(sample_tenant.ca_bundle)), HttpClient()
    assert trusting.request("GET", url).status_code == 200
    with pytest.raises(Unavailable, match="tls"):
        strict.request("GET", url)
    trusting.close()
    strict.close()


def test_proxies_of_the_environment_are_used(client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and NO_PROXY, as elsewhere."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with answering(OK) as (proxy, requests):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("http_proxy", proxy)
        assert client.request("GET", "http://graph.invalid/v1.0/me").status_code == 200
    assert requests[0].startswith(b"GET http://graph.invalid/v1.0/me ")
    with answering(OK) as (url, requests):
        assert client.request("GET", url).status_code == 200
    assert requests[0].startswith(b"GET / ")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("99999999", 3600),
        (format_datetime(NOW.replace(minute=2), usegmt=True), 120),
        (format_datetime(NOW.replace(hour=9), usegmt=True), 0),
        ("", 60),
        ("soon", 60),
        ("-5", 60),
        ("1.5", 60),
        ("٣", 60),
    ],
)
def test_retry_after_is_seconds_or_a_date(client: HttpClient, text: str, seconds: float) -> None:
    """Bounded by an hour; a minute when it says nothing usable."""
    assert client.retry_after(HttpAnswer(429, {"retry-after": text}, b"")) == seconds


def test_what_travels_through_msal_are_request_exceptions() -> None:
    """MSAL falls back to a still valid token only on these."""

    assert issubclass(Throttled, requests.RequestException)
    assert issubclass(Unavailable, requests.RequestException)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'"x"', b"null", b'{"a":', b"\xff"])
def test_only_a_json_object_is_one(body: bytes) -> None:
    """Everything else is an unreadable answer."""
    with pytest.raises(Unavailable, match="unparsable"):
        json_object(HttpAnswer(200, {}, body))
