"""Signing in with a password: it works for work accounts, and every refusal says who can fix it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.desktop.desk import BEN, Desk, Ran


def by_password(desk: Desk, username: str = BEN, password: str = "sample-ben", *argv: str) -> Ran:
    """One sign-in, the password on stdin."""
    options = ["--flow", "username-password", "--username", username, "--password-stdin", "--graph"]
    return desk.run("login", *options, *argv, stdin=password + "\n")


def test_a_password_signs_in_and_is_discouraged(desk: Desk) -> None:
    """It works once consent exists. The warning goes to stderr; the password is printed nowhere."""
    desk.login(BEN, "--graph")
    desk.run("logout")
    ran = by_password(desk)
    assert (ran.code, "is signed in" in ran.out) == (0, True)
    assert "discouraged" in ran.err
    assert "second factor" in ran.err
    assert "sample-ben" not in ran.out + ran.err + desk.cache_file.read_text()


@pytest.mark.parametrize(
    ("username", "password", "state", "exit_code", "code"),
    [
        (BEN, "wrong", None, 1, "50126"),
        ("nobody@contoso.example", "x", None, 1, "50034"),
        (BEN, "sample-ben", "require_mfa", 3, "50076"),
        (BEN, "sample-ben", "mfa_enrolment", 3, "50079"),
        (BEN, "sample-ben", None, 3, "65001"),
        ("somebody@nowhere.example", "x", None, 1, "unknown_user_type"),
        ("somebody@adatum.example", "x", None, 1, "accessing_ws_metadata_exchange_failed"),
    ],
)
def test_every_refusal_has_its_line(
    desk: Desk, username: str, password: str, state: str | None, exit_code: int, code: str
) -> None:
    """What happened, who can fix it how, and the code to look up."""
    if state:
        desk.tenant.change_person(username, state=state)
    ran = by_password(desk, username, password, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (exit_code, code)
    assert ran.json["error"]["happened"]
    assert ran.json["error"]["remedy"]
    assert ran.json["error"]["fix"] in ("you", "administrator", "operator")


def test_an_unknown_domains_password_is_sent_nowhere(desk: Desk) -> None:
    """The client finds out the kind of account first."""
    by_password(desk, "somebody@nowhere.example", "secret")
    assert desk.tenant.log()["token_requests"] == 0


def test_passwords_need_a_tenant(desk: Desk) -> None:
    """AADSTS90010 at /common."""
    desk.environ["AUTHORITY"] = desk.tenant.authority_of("common")
    assert by_password(desk, BEN, "sample-ben", "--json").json["error"]["code"] == "90010"


@pytest.mark.parametrize("kind", ["html", "status", "reset"])
def test_realm_discovery_that_fails_is_said(desk: Desk, kind: str) -> None:
    """It is nobody's fault, and the password is not sent."""
    desk.tenant.add_fault("userrealm", kind, **({"status": 500} if kind == "status" else {}))
    ran = by_password(desk, BEN, "sample-ben", "--json")
    expected = "unreachable" if kind == "reset" else "user_realm_discovery_failed"
    assert (ran.code, ran.json["error"]["code"]) == (1, expected)
    assert desk.tenant.log()["token_requests"] == 0


class Federation(HTTPServer):
    """An organisation's own sign-in service. `answer`: its answer to every request."""

    answer = b""


class _Answers(BaseHTTPRequestHandler):
    server: Federation

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def federation(desk: Desk) -> Iterator[Federation]:
    """The service, and a realm that points to it."""
    with Federation(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/trust/2005/usernamemixed"
        body = {"account_type": "Federated", "federation_protocol": "WSTrust", "federation_active_auth_url": url}
        desk.tenant.add_fault("userrealm", "oauth_error", status=200, body=body)
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("answer", [b"<html>Sign in here", b"<Envelope/>", b""])
def test_a_wstrust_answer_that_cannot_be_read(desk: Desk, federation: Federation, answer: bytes) -> None:
    """HTML, an envelope without a token, or no answer: the administrator must fix it."""
    federation.answer = answer
    ran = by_password(desk, "somebody@adatum.example", "x", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, "parsing_wstrust_response_failed")
    assert ran.json["error"]["fix"] == "administrator"


def test_metadata_that_cannot_be_read(desk: Desk, federation: Federation) -> None:
    """Metadata that is not XML can't be used."""
    federation.answer = b"not xml"
    desk.tenant.clear_faults()
    url = f"http://127.0.0.1:{federation.server_port}/mex"
    body = {"account_type": "Federated", "federation_protocol": "WSTrust", "federation_metadata_url": url}
    desk.tenant.add_fault("userrealm", "oauth_error", status=200, body=body)
    ran = by_password(desk, "somebody@adatum.example", "x", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, "parsing_wstrust_response_failed")
