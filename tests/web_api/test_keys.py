"""The authority's signing keys: fetched once, and again when an unknown key appears, but at most once per minute."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.clients.http import HttpClient, Unavailable
from shared.identity.metadata import Metadata
from shared.identity.verification import TokenRefused, Verifier

AUDIENCE = ["api"]


class Authority(ThreadingHTTPServer):
    """Serves discovery and keys, and counts the requests. `status`: the status of every answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.private: dict[str, rsa.RSAPrivateKey] = {}
        self.key_issuers: dict[str, str] = {}
        self.fetched: Counter[str] = Counter()
        self.status = 200

    @property
    def url(self) -> str:
        """Its URL. The issuer is a template below it."""
        return f"http://127.0.0.1:{self.server_port}"

    def add_key(self, kid: str, issuer: str = "") -> None:
        """Publishes one more key. `issuer`: the issuer that the key signs for, if given."""
        self.private[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.key_issuers[kid] = issuer

    def token(self, kid: str, tenant: str = "t1", **claims: Any) -> str:
        """A token signed with that key, for a person in `tenant`."""
        now = int(time.time())
        content = {"iss": f"{self.url}/{tenant}", "aud": "api", "tid": tenant, "nbf": now, "exp": now + 60} | claims
        return jwt.encode(content, self.private[kid], algorithm="RS256", headers={"kid": kid})

    def document(self, path: str) -> dict[str, Any]:
        """The document at this path."""
        self.fetched[path] += 1
        if path == "/discovery":
            return {"issuer": f"{self.url}/{{tenantid}}", "jwks_uri": f"{self.url}/keys"}
        return {"keys": [*self._keys(), {"kty": "unheard-of", "kid": "odd"}, "no key"]}

    def _keys(self) -> Iterator[dict[str, Any]]:
        for kid, key in self.private.items():
            parts = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
            yield {**parts, "kid": kid, "use": "sig"} | (
                {"issuer": self.key_issuers[kid]} if self.key_issuers[kid] else {}
            )


class _Answers(BaseHTTPRequestHandler):
    server: Authority

    def do_GET(self) -> None:
        body = json.dumps(self.server.document(self.path)).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silent."""


class Monotonic:
    """A clock that changes only when moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.seconds


@pytest.fixture
def authority() -> Iterator[Authority]:
    """An authority with one key, `k1`."""
    with Authority() as server:
        server.add_key("k1")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def clock() -> Monotonic:
    """The key cache's clock."""
    return Monotonic()


@pytest.fixture
def verifier(authority: Authority, clock: Monotonic) -> Iterator[Verifier]:
    """The verifier of this authority's tokens."""
    http = HttpClient()
    yield Verifier(Metadata(http, clock=clock), f"{authority.url}/discovery")
    http.close()


def reason(verifier: Verifier, token: str) -> str:
    """The reason for refusing a token."""
    with pytest.raises(TokenRefused) as refused:
        verifier.verify(token, audience=AUDIENCE)
    return refused.value.reason


def test_keys_are_fetched_once_for_many_threads(authority: Authority, verifier: Verifier) -> None:
    """Many threads with many tokens share one fetch."""
    token = authority.token("k1")
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: verifier.verify(token, audience=AUDIENCE), range(32)))
    assert {each["tid"] for each in claims} == {"t1"}
    assert authority.fetched == {"/discovery": 1, "/keys": 1}


def test_a_new_key_is_found_and_strangers_cost_one_request_a_minute(
    authority: Authority, verifier: Verifier, clock: Monotonic
) -> None:
    """This holds however many tokens with unknown keys arrive."""
    verifier.verify(authority.token("k1"), audience=AUDIENCE)
    clock.seconds += 61
    authority.add_key("k2")
    assert verifier.verify(authority.token("k2"), audience=AUDIENCE)["tid"] == "t1"
    assert authority.fetched["/keys"] == 2
    stranger = jwt.encode({"a": 1}, authority.private["k1"], algorithm="RS256", headers={"kid": "stranger"})
    assert {reason(verifier, stranger) for _ in range(20)} == {"unknown_key"}
    assert authority.fetched["/keys"] == 2
    clock.seconds += 61
    assert {reason(verifier, stranger) for _ in range(20)} == {"unknown_key"}
    assert authority.fetched["/keys"] == 3


def test_keys_are_renewed_after_a_day(authority: Authority, verifier: Verifier, clock: Monotonic) -> None:
    """A withdrawn key is not trusted forever."""
    token = authority.token("k1")
    verifier.verify(token, audience=AUDIENCE)
    del authority.private["k1"]
    verifier.verify(token, audience=AUDIENCE)
    clock.seconds += 24 * 3600 + 1
    assert reason(verifier, token) == "unknown_key"


def test_a_key_signs_for_its_own_issuer_only(authority: Authority, verifier: Verifier) -> None:
    """When the authority names a key's issuer, another tenant's key proves nothing about this tenant's people."""
    authority.add_key("t1-only", issuer=f"{authority.url}/t1")
    authority.add_key("anybody", issuer=f"{authority.url}/{{tenantid}}")
    assert verifier.verify(authority.token("t1-only", "t1"), audience=AUDIENCE)["tid"] == "t1"
    assert verifier.verify(authority.token("anybody", "t2"), audience=AUDIENCE)["tid"] == "t2"
    assert reason(verifier, authority.token("t1-only", "t2")) == "issuer"


def test_an_authority_that_fails_is_no_reason_to_trust_or_refuse(authority: Authority, verifier: Verifier) -> None:
    """The token is `unavailable` until the authority is back, and then accepted."""
    authority.status = 500
    with pytest.raises(Unavailable):
        verifier.verify(authority.token("k1"), audience=AUDIENCE)
    authority.status = 200
    assert verifier.verify(authority.token("k1"), audience=AUDIENCE)


def test_known_keys_outlive_an_authority_that_is_down(
    authority: Authority, verifier: Verifier, clock: Monotonic
) -> None:
    """Tokens signed with known keys are still accepted."""
    verifier.verify(authority.token("k1"), audience=AUDIENCE)
    authority.status = 500
    clock.seconds += 3600
    assert verifier.verify(authority.token("k1"), audience=AUDIENCE)
