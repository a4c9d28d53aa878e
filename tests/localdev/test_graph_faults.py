"""What the sample Graph can be told to do wrong: throttle a mailbox, answer too much, lead elsewhere, want claims."""

import base64
import json

import pytest
import requests

from localdev.tenant import SampleTenant
from tests.localdev.graph_client import MAIL, GraphClient, error_in, message_to
from tests.localdev.tenant_actors import ADA, BEN, Clock, WebApp

_SCOPES = (*MAIL, "User.Read")


@pytest.fixture
def ben(tenant: SampleTenant) -> GraphClient:
    """Ben, who may read and send mail."""
    return GraphClient(tenant, BEN, *_SCOPES)


@pytest.mark.parametrize("status", [429, 503])
def test_one_mailbox_is_throttled_for_a_time(ben: GraphClient, clock: Clock, status: int) -> None:
    """Retry-After counts down; others go on; when the time has passed, so does Ben. Early tries are counted."""
    ada = GraphClient(ben.tenant, ADA, *_SCOPES)
    ben.tenant.add_fault("graph", "throttle", status=status, username=BEN, seconds=30)
    first = ben.send("GET", "/me/messages")
    assert (first.status_code, first.headers["Retry-After"]) == (status, "30")
    clock.ahead = 20
    early = ben.send("POST", "/me/sendMail", json=message_to(ADA))
    assert (early.status_code, early.headers["Retry-After"]) == (status, "10")
    assert ada.send("GET", "/me/messages").status_code == 200
    clock.ahead = 30
    assert ben.send("GET", "/me/messages").status_code == 200
    log = ben.tenant.log()
    assert (log["graph"]["throttled"], log["graph"]["too_early"], log["mails_sent"]) == (2, 1, 0)


def test_a_fault_may_be_for_one_call_only(ben: GraphClient) -> None:
    """By method and path."""
    ben.tenant.add_fault("graph", "status", status=500, method="POST", path="/me/sendMail")
    ben.tenant.add_fault("graph", "status", status=500, method="POST", path="/me/messages")
    assert ben.send("GET", "/me/messages").status_code == 200
    assert ben.send("POST", "/me/sendMail", json=message_to(ADA)).status_code == 500
    assert ben.tenant.log()["mails_sent"] == 0


def test_a_mail_can_go_out_although_its_answer_is_lost(ben: GraphClient) -> None:
    """The work is done before the connection breaks."""
    ben.tenant.add_fault("graph", "reset_midway", path="/me/sendMail", times=1)
    with pytest.raises(requests.RequestException):
        ben.send("POST", "/me/sendMail", json=message_to(ADA)).json()
    assert ben.tenant.log()["mails_sent"] == 1


@pytest.mark.parametrize("size", [4 * 1024 * 1024, 5 * 1024 * 1024])
def test_an_answer_can_be_large(ben: GraphClient, size: int) -> None:
    """Exactly as large as told, and still JSON. Four mebibytes by default."""
    plain = ben.get("/me/messages")
    told = {} if size == 4 * 1024 * 1024 else {"size": size}
    ben.tenant.add_fault("graph", "large", times=1, **told)
    answer = ben.send("GET", "/me/messages")
    assert len(answer.content) == size
    assert answer.json() == plain


def test_links_can_lead_to_another_host(ben: GraphClient) -> None:
    """The same path and query there."""
    link = ben.get("/me/messages?$top=2")["@odata.nextLink"]
    ben.tenant.add_fault("graph", "foreign_links", host="https://evil.example", times=1)
    foreign = ben.get("/me/messages?$top=2")["@odata.nextLink"]
    assert foreign == link.replace(ben.tenant.page_url, "https://evil.example")


def test_other_claims_can_be_asked_for(web: WebApp) -> None:
    """401 with claims, once; a refresh with those claims is accepted."""
    web.sign_in(BEN)
    graph = GraphClient(web.tenant, BEN, *_SCOPES)
    web.tenant.add_fault("graph", "challenge", username=BEN, times=1)
    refused = graph.send("GET", "/me")
    assert error_in(refused) == (401, "InvalidAuthenticationToken")
    header = refused.headers["WWW-Authenticate"]
    claims = base64.b64decode(header.partition('claims="')[2].rstrip('"')).decode()
    assert 'error="insufficient_claims"' in header
    assert json.loads(claims)["access_token"]["nbf"]["essential"] is True
    assert "access_token" in web.silent(claims_challenge=claims, force_refresh=False)
    assert graph.send("GET", "/me").status_code == 200
