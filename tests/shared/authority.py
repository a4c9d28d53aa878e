"""An authority that publishes discovery and keys over HTTP, counts the requests, and can hold answers back."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support import wait_until


class Authority(ThreadingHTTPServer):
    """Serves discovery and keys.

    Attributes:
        fetched: requests by path, counted when they arrive.
        status: of every answer.
        headers: of every answer.
        odd_keys: what the list of keys holds besides those of `add_key`.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.private: dict[str, rsa.RSAPrivateKey] = {}
        self.key_issuers: dict[str, str] = {}
        self.fetched: Counter[str] = Counter()
        self.status = 200
        self.headers: dict[str, str] = {}
        self.odd_keys: list[Any] = [{"kty": "unheard-of", "kid": "odd"}, "no key"]
        self.gates = {path: _open_gate() for path in ("/discovery", "/keys")}

    @property
    def url(self) -> str:
        """Its URL. The issuer is a template below it."""
        return f"http://127.0.0.1:{self.server_port}"

    def add_key(self, kid: str, issuer: str = "", *, bits: int = 2048) -> None:
        """Publishes one more key. `issuer`: the issuer that the key signs for, if given."""
        self.private[kid] = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        self.key_issuers[kid] = issuer

    def jwk(self, kid: str) -> dict[str, Any]:
        """The public half of a key, as the list shows it."""
        parts = jwt.algorithms.RSAAlgorithm.to_jwk(self.private[kid].public_key(), as_dict=True)
        issuer = {"issuer": self.key_issuers[kid]} if self.key_issuers[kid] else {}
        return {**parts, "kid": kid, "use": "sig", **issuer}

    def token(self, kid: str, tenant: str = "t1", *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token signed with that key, for a person in `tenant`. Claims and header fields of None are left out."""
        now = int(time.time())
        content = {"iss": f"{self.url}/{tenant}", "aud": "api", "sub": "somebody", "tid": tenant}
        content |= {"nbf": now, "exp": now + 60} | claims
        given = {name: value for name, value in content.items() if value is not None}
        fields = {"kid": kid} | (header or {})
        if fields["kid"] is None:
            del fields["kid"]
        return jwt.encode(given, self.private[kid], algorithm="RS256", headers=fields)

    def hold(self, path: str) -> None:
        """Holds back every answer at this path, until `release`."""
        self.gates[path].clear()

    def release(self, path: str) -> None:
        """Sends what was held back."""
        self.gates[path].set()

    def release_all(self) -> None:
        """Sends everything that was held back."""
        for gate in self.gates.values():
            gate.set()

    def wait_for(self, path: str, count: int) -> None:
        """Returns when so many requests have arrived at this path."""
        wait_until(lambda: self.fetched[path] >= count, f"{path} is asked for {count} times")

    def document(self, path: str) -> dict[str, Any]:
        """The document at this path."""
        if path == "/discovery":
            return {"issuer": f"{self.url}/{{tenantid}}", "jwks_uri": f"{self.url}/keys"}
        return {"keys": [*map(self.jwk, self.private), *self.odd_keys]}


class _Answers(BaseHTTPRequestHandler):
    server: Authority

    def do_GET(self) -> None:
        self.server.fetched[self.path] += 1
        self.server.gates[self.path].wait()
        body = json.dumps(self.server.document(self.path)).encode()
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silent."""


def _open_gate() -> threading.Event:
    gate = threading.Event()
    gate.set()
    return gate


class Monotonic:
    """A clock that changes only when moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.seconds


@contextmanager
def serving() -> Iterator[Authority]:
    """An authority with one key, `k1`, that answers until it is left."""
    with Authority() as server:
        server.add_key("k1")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.release_all()
        server.shutdown()
        thread.join()
