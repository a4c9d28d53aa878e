"""What libcurl does by itself, and what happens to connections that are kept."""

import gc
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from random import Random

import pytest

from localdev.tenant import SampleTenant
from shared.clients.answers import Unavailable
from shared.clients.http import HttpClient
from shared.clients.transfers import _Transfer
from tests.shared.scripted_server import answering
from tests.support import wait_until

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


def test_nothing_of_an_earlier_request_is_sent_with_a_later_one(client: HttpClient) -> None:
    """Bodies, methods and headers of one person's request never reach another's, whichever order they come in."""
    bodies = [b"first-and-longest", None, b"second", b"", b"third-is-longer", None, b"4"]
    with answering([OK for _ in bodies * 2]) as (url, requests):
        for number, body in enumerate(bodies * 2):
            headers = {f"X-Own-{number}": "yes"}
            method = "GET" if body is None else "PATCH" if number % 2 else "POST"
            client.request(method, url, body=body, headers=headers, repeatable=number % 3 == 0)
    for number, (request, body) in enumerate(zip(requests, bodies * 2, strict=True)):
        head, _, received = request.partition(b"\r\n\r\n")
        assert received == (body or b"")
        assert head.split(b" ", 1)[0] == (b"GET" if body is None else b"PATCH" if number % 2 else b"POST")
        assert [line for line in head.split(b"\r\n") if line.startswith(b"X-Own")] == [f"X-Own-{number}: yes".encode()]
        assert (b"content-length" in head.lower()) == (body is not None)


def test_bytes_that_nobody_asked_for_are_no_answer_to_the_next_person(client: HttpClient) -> None:
    """A server, or a proxy before it, says more than it was asked: the next request goes over another connection."""
    answered, said = threading.Event(), threading.Event()
    theirs = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"

    def say_twice(connection: socket.socket) -> None:
        connection.sendall(theirs + b"Ada's1")
        assert answered.wait(5)
        connection.sendall(theirs + b"Ada's2")
        said.set()

    with answering(say_twice, theirs + b"Ben's!") as (url, requests):
        assert client.request("GET", url).content == b"Ada's1"
        answered.set()
        assert said.wait(5)
        assert client.request("GET", url).content == b"Ben's!"
    assert len(requests) == 2


def test_a_token_is_not_sent_over_a_connection_that_was_closed(client: HttpClient) -> None:
    """It arrives over another one, though it may not be repeated."""
    answered, closed = threading.Event(), threading.Event()

    def answer_and_close(connection: socket.socket) -> None:
        connection.sendall(OK)
        assert answered.wait(5)
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    with answering(answer_and_close, OK) as (url, requests):
        client.request("GET", url)
        answered.set()
        assert closed.wait(5)
        assert client.request("POST", url, body=b"token").status_code == 200
    assert len(requests) == 2


def test_nothing_of_a_request_stays_when_it_is_answered(client: HttpClient) -> None:
    """The handle that is kept for the next request holds neither the token that was sent nor what came back."""
    with answering(OK) as (url, _):
        client.request("POST", url, body=b"token")
    wait_until(
        lambda: not any(isinstance(each, _Transfer) for each in gc.get_objects()), "nobody has the transfer any more"
    )


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


@pytest.mark.parametrize("url", ["keys", "https:/x", "http://[::1/", "http://127.0.0.1:1/\ud800", "http://\0/"])
def test_an_address_that_is_none_cannot_be_reached(client: HttpClient, url: str) -> None:
    """It is no error of the program's when an authority's document names it."""
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


class _Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent, on a kept connection."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """The method's name is http.server's."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def test_everybody_s_body_arrives_whole_and_is_their_own(client: HttpClient) -> None:
    """A thousand requests of many sizes by sixteen threads, repeatable or not, over connections that they share."""
    chance = Random(7)  # noqa: S311 - the same bodies in each run
    bodies = [chance.randbytes(chance.choice((0, 1, 900, 5_000, 70_000))) for _ in range(1000)]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/"

    def echoed(number: int) -> bytes:
        return client.request("POST", url, body=bodies[number], repeatable=number % 2 == 0).content

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(echoed, range(len(bodies))))
    client.close()
    server.shutdown()
    thread.join()
    server.server_close()
    assert answers == bodies
