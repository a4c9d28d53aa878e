"""What libcurl does by itself, and what happens to connections that are kept."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import pytest

from localdev.tenant import SampleTenant
from shared.clients.answers import Unavailable
from shared.clients.http import HttpClient
from tests.shared.scripted_server import answering

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def client() -> Iterator[HttpClient]:
    """A client with short time limits."""
    client = HttpClient(connect_seconds=2, longest_seconds=5)
    yield client
    client.close()


def test_a_token_is_sent_once_though_its_kept_connection_dies(client: HttpClient) -> None:
    """libcurl would send a POST again by itself. The server may have had the first one, although no answer came."""
    with answering([OK, b""], OK) as (url, requests):
        client.request("POST", url, body=b"first")
        with pytest.raises(Unavailable, match="connection"):
            client.request("POST", url, body=b"token")
        assert len(requests) == 2
        client.request("GET", url)


def test_what_may_be_repeated_survives_a_kept_connection_that_dies(client: HttpClient) -> None:
    """Whether libcurl repeats it or we do."""
    with answering([OK, b""], OK) as (url, requests):
        client.request("POST", url, body=b"first")
        assert client.request("POST", url, body=b"again", repeatable=True).status_code == 200
    assert [request.endswith(b"again") for request in requests] == [False, True, True]


def test_connections_are_kept(client: HttpClient) -> None:
    """Three requests, one connection."""
    with answering([OK, OK, OK]) as (url, requests):
        for _ in range(3):
            assert client.request("POST", url, body=b"{}").status_code == 200
    assert len(requests) == 3


def test_a_drip_fed_body_ends_at_the_time_limit() -> None:
    """Each byte comes in time, the whole does not."""
    client, stop = HttpClient(longest_seconds=0.3), threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        try:
            while not stop.wait(0.01):
                connection.sendall(b"x")
        except OSError:
            pass

    with answering(drip) as (url, _):
        with pytest.raises(Unavailable, match="timeout"):
            client.request("GET", url)
        stop.set()
    client.close()


def test_a_caller_may_shorten_the_time_limit_but_not_lengthen_it() -> None:
    """A task's last moments bound its calls."""
    client, held = HttpClient(longest_seconds=0.2), threading.Event()

    def hold(_: socket.socket) -> None:
        held.wait(5)

    with answering(hold, hold) as (url, _), ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(client.request, "GET", url, seconds=seconds) for seconds in (0.1, 60.0)]
        for each in waiting:
            with pytest.raises(Unavailable, match=r"timeout"):
                each.result(5)
        held.set()
    client.close()


def test_an_interim_answer_is_no_answer(client: HttpClient) -> None:
    """103 Early Hints comes before the answer (RFC 8297); repeated headers are joined."""
    early = b"HTTP/1.1 103 Early Hints\r\nX-Odd: early\r\n\r\n"
    late = b"HTTP/1.1 200 OK\r\nX-Odd: a\r\nX-Odd: b\r\nContent-Length: 2\r\n\r\n{}"
    with answering(early + late) as (url, _):
        answer = client.request("GET", url)
    assert (answer.status_code, answer.headers["x-odd"]) == (200, "a, b")


def test_redirects_are_answers(client: HttpClient) -> None:
    """Nobody is sent elsewhere with a token."""
    with answering(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.invalid/\r\nContent-Length: 0\r\n\r\n") as (
        url,
        _,
    ):
        answer = client.request("GET", url)
    assert (answer.status_code, answer.headers["location"]) == (302, "http://elsewhere.invalid/")


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "http:///"])
def test_only_http_is_spoken(client: HttpClient, url: str) -> None:
    """libcurl knows two dozen protocols more."""
    with pytest.raises(Unavailable, match="connection"):
        client.request("GET", url)


@pytest.mark.parametrize("value", ["a\r\nX-Evil: b", "a\nb", "a\0b"])
def test_a_header_with_a_line_break_is_refused(client: HttpClient, value: str) -> None:
    """libcurl would send it as two."""
    with pytest.raises(ValueError, match="line break"):
        client.request("GET", "http://127.0.0.1/", headers={"X-Odd": value})


def test_a_path_with_blanks_and_letters_is_encoded(client: HttpClient) -> None:
    """Graph's paths hold names of people."""
    with answering(OK) as (url, requests):
        client.request("GET", f"{url}users/Zoë Ny?$filter=a eq 'b'")
    assert requests[0].startswith(b"GET /users/Zo%C3%AB%20Ny?$filter=a%20eq%20'b' HTTP/1.1")


def test_https_goes_through_a_tunnel_of_the_proxy(
    client: HttpClient, sample_tenant: SampleTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy sees CONNECT and no path. What it answers to that is no part of the answer."""

    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with answering(refuse) as (proxy, requests):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("https_proxy", proxy)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(Unavailable, match="connection"):
            client.request("GET", "https://login.invalid/secret-path")
    assert requests[0].startswith(b"CONNECT login.invalid:443 HTTP/1.1")
    assert b"secret-path" not in requests[0]


def test_many_threads_share_the_client(sample_tenant: SampleTenant) -> None:
    """Each gets its own answer."""
    client = HttpClient(ca_bundle=str(sample_tenant.ca_bundle))
    url = f"{sample_tenant.authority}/v2.0/.well-known/openid-configuration"
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(client.request, repeat("GET", 64), repeat(url, 64)))
    client.close()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


def test_closing_fails_what_is_under_way_and_the_next_request_starts_anew() -> None:
    """Nobody waits for ever on a client that was closed."""
    client, arrived, end = HttpClient(), threading.Event(), threading.Event()

    def hold(_: socket.socket) -> None:
        arrived.set()
        end.wait(10)

    with answering(hold, OK) as (url, _), ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(client.request, "GET", url)
        assert arrived.wait(5)
        client.close()
        with pytest.raises(Unavailable, match="connection"):
            waiting.result(5)
        end.set()
        assert client.request("GET", url).status_code == 200
    client.close()
