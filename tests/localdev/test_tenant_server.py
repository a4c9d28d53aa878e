"""The sample tenant as a whole: restarts, neighbours, the command line."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from localdev.tenant import SampleTenant, Visitor
from tests.localdev.tenant_actors import ADA, BEN, WebApp, post_token, refresh, session
from tests.support import ROOT


def test_people_stay_signed_in_over_a_restart(tmp_path: Path) -> None:
    """Refresh tokens, the browser's session, consents, the secret and the keys outlive the process."""
    visitor = Visitor()
    with SampleTenant(state=tmp_path) as first:
        web = WebApp(first)
        web.sign_in(BEN, visitor=visitor)
        token, secret, port, page = web.refresh_token(), first.client_secret, *_ports(first)
        keys = session(first).get(first.authority + "/discovery/v2.0/keys").json()
    with SampleTenant(state=tmp_path, port=port, page_port=page) as second:
        assert second.client_secret == secret
        assert "access_token" in web.silent()
        assert refresh(second, token).status_code == 200
        assert session(second).get(second.authority + "/discovery/v2.0/keys").json() == keys
        silent = visitor.http.get(web.flow(prompt="none", response_mode="form_post")["auth_uri"]).text
        assert 'name="code"' in silent


def _ports(tenant: SampleTenant) -> tuple[int, int]:
    return int(tenant.authority.split(":")[2].split("/")[0]), int(tenant.page_url.rpartition(":")[2])


def test_what_happened_to_people_outlives_a_restart(tmp_path: Path) -> None:
    """A revocation and a revoked family too."""
    with SampleTenant(state=tmp_path) as first:
        ben, ada = WebApp(first), WebApp(first)
        ben.sign_in(BEN)
        ada.sign_in(ADA)
        first.change_person(BEN, state="revoked")
        first.change_settings(rotation="strict")
        used = ada.refresh_token()
        assert refresh(first, used).status_code == 200
    with SampleTenant(state=tmp_path) as second:
        second.change_settings(rotation="strict")
        assert refresh(second, ben.refresh_token()).json()["error_codes"] == [50173]
        assert refresh(second, used).json()["error_codes"] == [70000]
        assert second.log()["families_revoked"] == 1


def test_its_memory_is_private_and_whole(tmp_path: Path) -> None:
    """The file is readable by its owner only, never half written, and holds no token."""
    with SampleTenant(state=tmp_path) as tenant:
        web = WebApp(tenant)
        web.sign_in(BEN)
        tokens = tenant.issued_secrets() - {tenant.client_secret}
    kept = tmp_path / "tenant.json"
    assert os.name != "posix" or stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert json.loads(kept.read_text())["people"]
    assert not [token for token in tokens if token in kept.read_text()]
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["tenant.json"]


def test_two_tenants_are_strangers(tenant: SampleTenant) -> None:
    """Each has its own keys, secrets and people's states, in one process."""
    with SampleTenant() as other:
        web = WebApp(other)
        web.sign_in(BEN)
        assert other.client_secret != tenant.client_secret
        assert refresh(tenant, web.refresh_token()).json()["error_codes"] == [9002313]
        other.change_person(BEN, state="disabled")
        assert WebApp(tenant).sign_in(BEN)["access_token"]


def test_a_stopped_tenant_can_be_started_again() -> None:
    """On new ports, with the same people."""
    tenant = SampleTenant()
    for _ in range(2):
        with tenant:
            assert "access_token" in WebApp(tenant).sign_in(BEN)


def test_a_port_in_use_is_an_error_and_leaves_nothing_open(tenant: SampleTenant) -> None:
    """For either of the two ports."""
    port, page = _ports(tenant)
    for taken in (SampleTenant(port=port), SampleTenant(page_port=page)):
        with pytest.raises(OSError, match=r"\d|use"):
            taken.start()


def test_settings_let_an_app_start(tenant: SampleTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CA bundle among them makes requests trust the authority."""
    settings = tenant.settings("http://localhost:7071")
    assert settings["AUTHORITY"] == tenant.authority
    assert settings["GRAPH_URL"] == f"{tenant.page_url}/graph"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", settings["REQUESTS_CA_BUNDLE"])
    url = settings["AUTHORITY"] + "/v2.0/.well-known/openid-configuration"
    assert requests.get(url, timeout=5, proxies={"https": ""}).status_code == 200


def test_answers_on_both_loopback_addresses_only(tenant: SampleTenant) -> None:
    """127.0.0.1 by name and by number."""
    page = _ports(tenant)[1]
    assert session(tenant).get(f"http://127.0.0.1:{page}/").status_code == 200
    assert "Sample tenant" in session(tenant).get(f"http://localhost:{page}/").text


def _run(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "localdev.tenant", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name != "posix", reason="Windows ends programs in other ways")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_told_to_end(tmp_path: Path, ending: signal.Signals) -> None:
    """One line when ready, a quiet end, exit code 0."""
    with _run("--state", str(tmp_path)) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("Sample tenant at https://localhost:")
        page = line.partition("pages at ")[2].partition(",")[0]
        assert requests.get(f"{page}/control/log", timeout=5, proxies={"http": ""}).json()["sign_ins"] == 0
        process.send_signal(ending)
        assert process.communicate(timeout=10) == ("", "")
        assert process.returncode == 0


def test_the_command_says_when_a_port_is_taken(tenant: SampleTenant) -> None:
    """One line, exit code 2."""
    with _run("--page-port", str(_ports(tenant)[1])) as process:
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err.count("\n")) == (2, "", 1)
    assert str(_ports(tenant)[1]) in err


def test_only_posts_reach_the_token_endpoint(tenant: SampleTenant) -> None:
    """GET is not allowed there; an empty POST is refused properly."""
    url = tenant.authority + "/oauth2/v2.0/token"
    assert session(tenant).get(url).status_code == 405
    assert session(tenant).post(url).json()["error_codes"] == [900144]
    assert post_token(tenant, {}).json()["error_codes"] == [900144]
