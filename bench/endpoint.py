"""A token endpoint that is never the bottleneck: one asyncio process, HTTP/1.1 by hand over TLS with keep-alive.

`python -m bench.endpoint --tls DIR` prints its port and serves until it is interrupted. It answers what MSAL needs of a
tenant (discovery, refresh tokens), Graph's `/v1.0/me`, and two paths for benchmarks:

GET  /control/counts           returns what it answered since the last reset, and its CPU time
POST /control/reset?latency=S  sets the counts to zero; from then on a token request is answered after S seconds
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import parse_qs

from bench import tokens
from localdev import tls

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass
class Counts:
    """What happened since the last reset.

    Attributes:
        people: how many people redeemed a refresh token.
        double_redemptions: refresh tokens that came a second time since the endpoint started.
        most_at_once: the most token requests that waited for their answers at the same time.
        first_at, last_at: times of refresh-token requests, by the endpoint's monotonic clock.
        cpu_seconds: CPU time of the endpoint's process since it started.
    """

    discoveries: int = 0
    redeemed: int = 0
    people: int = 0
    double_redemptions: int = 0
    most_at_once: int = 0
    graph: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    cpu_seconds: float = 0.0


class Endpoint:
    """Composes the answers. Knows no sockets.

    Args:
        url: its address, without a slash at the end.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.latency = 0.0
        self._waiting = 0
        self._counts = Counts()
        self._redeemed: set[bytes] = set()
        self._people: set[bytes] = set()
        self._serials = itertools.count(1)

    def answer(self, method: bytes, path: str, body: bytes) -> tuple[float, bytes]:
        """Counts a request. Returns the seconds to wait, and the complete HTTP response."""
        if method == b"POST" and path.endswith("/oauth2/v2.0/token"):
            return self.latency, self._redeem(body)
        if path.endswith("/.well-known/openid-configuration"):
            self._counts.discoveries += 1
            base = f"{self.url}/{tokens.TENANT_ID}"
            configuration = {
                "issuer": f"{base}/v2.0",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
            }
            return 0.0, _response(configuration)
        if path.partition("?")[0] == "/v1.0/me":
            self._counts.graph += 1
            return 0.0, _PROFILE
        return 0.0, self._obey(path)

    def begin_wait(self) -> None:
        """Counts a token request that waits for its answer."""
        self._waiting += 1
        self._counts.most_at_once = max(self._counts.most_at_once, self._waiting)

    def end_wait(self) -> None:
        """Counts the answer that was sent."""
        self._waiting -= 1

    def _redeem(self, body: bytes) -> bytes:
        form = dict(pair.partition(b"=")[::2] for pair in body.split(b"&"))
        person, serial, _ = form[b"refresh_token"].split(b".", 2)
        now, counts = time.monotonic(), self._counts
        counts.redeemed += 1
        counts.first_at = counts.first_at or now
        counts.last_at = now
        counts.double_redemptions += person + serial in self._redeemed
        self._redeemed.add(person + serial)
        self._people.add(person)
        oid = person.decode()
        return _response(
            {
                "token_type": "Bearer",
                "scope": tokens.SCOPE,
                "expires_in": tokens.EXPIRES_IN,
                "ext_expires_in": tokens.EXPIRES_IN,
                "access_token": tokens.access_token(oid),
                "refresh_token": tokens.refresh_token(oid, next(self._serials)),
                "id_token": tokens.id_token(oid),
                "client_info": tokens.client_info(oid),
            }
        )

    def _obey(self, path: str) -> bytes:
        """Handles the two paths for benchmarks."""
        path, _, query = path.partition("?")
        if path == "/control/reset":
            self.latency = float(parse_qs(query).get("latency", ["0"])[0])
            self._counts = Counts()
            self._people.clear()
        elif path != "/control/counts":
            return _response({"error": "not_found"}, b"404 Not Found")
        self._counts.people = len(self._people)
        self._counts.cpu_seconds = time.process_time()
        return _response(asdict(self._counts))


def _response(content: object, status: bytes = b"200 OK") -> bytes:
    body = json.dumps(content).encode()
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
    return head + body


_PROFILE = _response(
    {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users/$entity",
        "displayName": "Somebody Somewhere",
        "mail": "somebody@contoso.example",
        "userPrincipalName": "somebody@contoso.example",
        "id": tokens.object_id(0),
    }
)


class _Connection(asyncio.Protocol):
    """One client's connection. Its requests come one after the other, as HTTP clients send them."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._waiting = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport for the answers."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers every complete request."""
        self._waiting += data
        while (end := self._waiting.find(_END_OF_HEAD)) >= 0:
            head, start = self._waiting[:end], end + len(_END_OF_HEAD)
            stop = start + _content_length(head)
            if len(self._waiting) < stop:
                return
            body, self._waiting = self._waiting[start:stop], self._waiting[stop:]
            self._reply(head, body)

    def _reply(self, head: bytes, body: bytes) -> None:
        method, path, _ = head.split(b"\r\n", 1)[0].split(b" ", 2)
        seconds, answer = self._endpoint.answer(method, path.decode(), body)
        if seconds:
            self._endpoint.begin_wait()
            asyncio.get_running_loop().call_later(seconds, self._reply_late, answer)
        else:
            self._transport.write(answer)

    def _reply_late(self, answer: bytes) -> None:
        self._endpoint.end_wait()
        self._transport.write(answer)


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.find(_LENGTH)
    return int(lowered[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def serve(files: tls.TlsFiles, ready: Callable[[int], None]) -> None:
    """Serves on a free port of 127.0.0.1 until it is cancelled. Calls `ready` with the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    endpoint = Endpoint("")
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(endpoint), "127.0.0.1", 0, ssl=context, backlog=512
    )
    port = server.sockets[0].getsockname()[1]
    endpoint.url = f"https://localhost:{port}"
    ready(port)
    await server.serve_forever()


def main() -> None:
    """Runs the command line of the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m bench.endpoint")
    parser.add_argument("--tls", type=Path, required=True, help="folder with the TLS files")
    files = tls.ensure(parser.parse_args().tls)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(files, lambda port: print(port, flush=True)))


if __name__ == "__main__":
    main()
