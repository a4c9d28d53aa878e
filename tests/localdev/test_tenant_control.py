"""The control API over HTTP: its commands, its limits, and the log."""

from typing import Any

import pytest
import requests

from localdev.tenant import SampleTenant, Visitor
from tests.localdev.tenant_actors import ADA, BEN, GRETA, WebApp, graph_get, refresh, session


def control(tenant: SampleTenant, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
    """Sends a control request, as JSON by default."""
    wanted: dict[str, Any] = {"json": body or {}} if method != "GET" else {}
    return session(tenant).request(method, f"{tenant.page_url}/control{path}", **(wanted | options))


def test_changes_a_person(web: WebApp) -> None:
    """State, roles and profile; the answer is the person."""
    web.sign_in(BEN)
    body = {"state": "revoked", "roles": ["R"], "profile": {"jobTitle": "Chief"}}
    answer = control(web.tenant, "PATCH", f"/people/{BEN}", body).json()
    assert (answer["state"], answer["roles"], answer["profile"]["jobTitle"]) == ("revoked", ["R"], "Chief")
    assert web.silent()["error_codes"] == [50173]
    assert control(web.tenant, "PATCH", f"/people/{BEN}", {"state": None}).json()["state"] is None
    assert "access_token" in web.silent()


def test_lists_and_adds_people(tenant: SampleTenant) -> None:
    """At least six in Contoso, one of them a guest from Fabrikam."""
    listed = control(tenant, "GET", "/people").json()
    assert sum(tenant.tenant_id in each["oids"] for each in listed) >= 7
    assert next(each for each in listed if each["username"] == GRETA)["oids"].keys() > {tenant.tenant_id}
    body = {"username": "zoe@contoso.example", "name": "Zoe Quist", "photo": True}
    assert control(tenant, "POST", "/people", body).status_code == 200
    assert len(control(tenant, "GET", "/people").json()) == len(listed) + 1


def test_changes_settings_apps_and_faults(web: WebApp) -> None:
    """As the methods of the same names do."""
    web.sign_in(BEN)
    tenant, token = web.tenant, web.refresh_token()
    assert control(tenant, "PATCH", "/settings", {"access_token_lifetime": 60}).json()["access_token_lifetime"] == 60
    assert refresh(tenant, token).json()["expires_in"] == 60
    control(tenant, "PATCH", f"/apps/{tenant.client_id}", {"secret_state": "expired"})
    assert refresh(tenant, token).json()["error_codes"] == [7000222]
    control(tenant, "PATCH", f"/apps/{tenant.client_id}", {"secret_state": "valid"})
    control(tenant, "POST", "/faults", {"where": "token", "kind": "status", "status": 500})
    assert refresh(tenant, token).status_code == 500
    control(tenant, "DELETE", "/faults")
    assert refresh(tenant, token).status_code == 200


def test_changes_mail_tasks_consents_and_tenants(web: WebApp) -> None:
    """As the methods of the same names do; what was sent and pushed can be read."""
    tenant, person = web.tenant, f"/people/{BEN}"
    web.sign_in(BEN, "User.Read", "Mail.Read")
    unread = control(tenant, "GET", f"{person}/mail").json()["unread"]
    assert control(tenant, "POST", f"{person}/mail", {"subject": "Hello"}).json()["subject"] == "Hello"
    assert control(tenant, "GET", f"{person}/mail").json() == {"sent": [], "unread": unread + 1}
    task = control(tenant, "POST", f"{person}/tasks", {"title": "Write"}).json()
    done = control(tenant, "PATCH", f"{person}/tasks/{task['id']}", {"status": "completed"}).json()
    assert (done["title"], done["status"]) == ("Write", "completed")
    assert control(tenant, "DELETE", f"{person}/delta-links").status_code == 200
    assert control(tenant, "DELETE", f"{person}/consents", {"scope": "Mail.Read"}).status_code == 200
    assert web.silent("Mail.Read")["error_codes"] == [65001]
    assert control(tenant, "PATCH", "/tenants/contoso.example", {"consent": "administrators"}).status_code == 200
    assert control(tenant, "GET", "/pushed").json()["puts"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/people/nobody@contoso.example", {"state": None}, 404),
        ("PATCH", f"/people/{BEN}", {"state": "bored"}, 400),
        ("PATCH", f"/people/{BEN}", {"mood": 1}, 400),
        ("POST", "/people", {"username": "x@elsewhere.example", "name": "X"}, 400),
        ("POST", "/people", {"name": "X"}, 400),
        ("PATCH", "/settings", {"colour": "red"}, 400),
        ("PATCH", "/settings", {"latency": -1}, 400),
        ("PATCH", "/apps/nobody", {}, 404),
        ("PATCH", "/apps/c0a5b1de-4f2b-4d0e-9a11-7e5f3a0c0001", {"secret_state": "lost"}, 400),
        ("PATCH", "/tenants/contoso.example", {"consent": "nobody"}, 400),
        ("PATCH", "/tenants/nowhere.example", {"consent": "everybody"}, 404),
        ("DELETE", f"/people/{BEN}/consents", {"scope": "User.Raed"}, 404),
        ("GET", "/people/nobody@contoso.example/mail", None, 404),
        ("POST", f"/people/{BEN}/mail", {}, 400),
        ("POST", f"/people/{BEN}/tasks", {"title": "X", "status": "bored"}, 400),
        ("PATCH", f"/people/{BEN}/tasks/none", {"title": "X"}, 400),
        ("PATCH", f"/people/{BEN}/tasks/none", {"colour": "red"}, 400),
        ("DELETE", "/people/nobody@contoso.example/delta-links", {}, 404),
        ("POST", "/faults", {"where": "token", "kind": "status"}, 400),
        ("POST", "/faults", {"where": "token", "kind": "html", "colour": "red"}, 400),
    ],
)
def test_says_what_makes_no_sense(
    tenant: SampleTenant, method: str, path: str, body: dict[str, Any], status: int
) -> None:
    """An error with a reason, and nothing changes."""
    before = tenant.people(), tenant.change_settings()
    answer = control(tenant, method, path, body)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert (tenant.people(), tenant.change_settings()) == before


def test_bodies_must_be_json_objects(tenant: SampleTenant) -> None:
    """A form or a plain text, as another site's page could send it, is refused; so is JSON that is no object."""
    for options in ({"data": {"a": "b"}}, {"data": "{}", "headers": {"Content-Type": "text/plain"}}, {"data": b""}):
        assert control(tenant, "POST", "/reset", **({"json": None} | options)).status_code == 415
    assert control(tenant, "POST", "/reset", ["x"]).status_code == 400
    broken = {"data": "{", "headers": {"Content-Type": "application/json"}, "json": None}
    assert control(tenant, "POST", "/reset", **broken).status_code == 400


def test_other_host_names_are_not_served(tenant: SampleTenant) -> None:
    """A foreign host name that points to this machine is refused on both ports."""
    for url in (f"{tenant.page_url}/control/people", tenant.authority + "/v2.0/.well-known/openid-configuration"):
        assert session(tenant).get(url, headers={"Host": "evil.example"}).status_code == 400


def test_the_log_counts_and_agrees(web: WebApp) -> None:
    """Counts are in total, by person and by Graph path. The log has no secret."""
    tenant, ada = web.tenant, WebApp(web.tenant)
    result = web.sign_in(BEN)
    ada.sign_in(ADA)
    web.silent()
    graph_get(tenant, "/me", result["access_token"])
    graph_get(tenant, "/me", "")
    tenant.change_person(ADA, state="revoked")
    ada.silent()
    answer = control(tenant, "GET", "/log")
    log = answer.json()
    assert {name: log[name] for name in ("sign_ins", "codes_redeemed", "refresh_tokens_redeemed", "refused")} == {
        "sign_ins": 2,
        "codes_redeemed": 2,
        "refresh_tokens_redeemed": 1,
        "refused": 1,
    }
    assert log["by_person"][ADA]["refused"] == 1
    assert log["graph"]["by_path"] == {"/v1.0/me": 2}
    assert log["graph"]["by_status"] == {"200": 1, "401": 1}
    assert log["graph"]["seconds"] > 0
    assert not [secret for secret in tenant.issued_secrets() if secret in answer.text]


def test_knows_every_secret_it_issued(web: WebApp) -> None:
    """It knows codes, three kinds of tokens, the app's secret and the browser's cookie."""
    visitor = Visitor()
    flow = web.flow()
    answer = visitor.sign_in(flow["auth_uri"], BEN)
    code = answer.partition("code=")[2].partition("&")[0]
    result = web.msal.acquire_token_by_auth_code_flow(flow, {"code": code, "state": flow["state"]})
    issued = web.tenant.issued_secrets()
    expected = {code, result["access_token"], result["id_token"], web.refresh_token(), web.tenant.client_secret}
    assert expected | set(visitor.http.cookies.values()) <= issued


def test_reset_goes_back_to_the_start(web: WebApp) -> None:
    """People, consents, settings, faults, apps and counts; what was issued is still known, and keys are the same."""
    web.sign_in(BEN)
    tenant = web.tenant
    tenant.change_person(BEN, state="disabled", profile={"jobTitle": "Chief"})
    tenant.change_settings(latency=1, rotation="strict")
    tenant.add_fault("token", "html")
    assert control(tenant, "POST", "/reset").status_code == 200
    assert tenant.log()["codes_redeemed"] == 0
    assert tenant.change_settings()["rotation"] == "reusable"
    assert web.silent()["error_codes"] == [65001]
    assert web.refresh_token() in tenant.issued_secrets()
    assert web.sign_in(BEN)["id_token_claims"]["name"] == "Ben Okafor"
