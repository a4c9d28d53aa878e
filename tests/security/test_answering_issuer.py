"""Who answered a sign-in: `iss` in the callback (RFC 9207). Another provider's code never reaches our token endpoint,
and its error is not shown as ours."""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import pytest

from localdev.tenant import FABRIKAM, SampleTenant, Visitor
from shared.accounts import Person
from shared.errors import SignInFailed
from shared.services import Services
from tests.support import ADA, MakeServices

EVIL = "https://evil.example"
Change = Callable[[dict[str, str]], dict[str, str]]


def signed_in(app: Services, change: Change, *, accept: bool = True) -> Person:
    """Signs Ada in; `change` alters the parameters of the callback."""
    url, flow = app.identity.begin_sign_in()
    callback = Visitor().sign_in(url, ADA, accept=accept)
    return app.identity.finish_sign_in(flow, change(dict(parse_qsl(urlsplit(callback).query)))).person


def naming(issuer: str) -> Change:
    """The callback names this issuer."""
    return lambda answer: answer | {"iss": issuer}


def naming_none(answer: dict[str, str]) -> dict[str, str]:
    """The callback names no issuer."""
    return {name: value for name, value in answer.items() if name != "iss"}


@pytest.fixture
def plain(make_services: MakeServices, sample_tenant: SampleTenant) -> Services:
    """The app with a plain OpenID provider, which says that it sends `iss`."""
    return make_services(AUTHORITY="", OIDC_AUTHORITY=sample_tenant.oidc_authority)


def test_provider_that_names_itself_signs_in(plain: Services, sample_tenant: SampleTenant) -> None:
    """The sample provider sends its issuer."""
    sent: list[str] = []

    def note(answer: dict[str, str]) -> dict[str, str]:
        sent.append(answer["iss"])
        return answer

    assert signed_in(plain, note).account_id
    assert sent == [sample_tenant.oidc_authority]


@pytest.mark.parametrize("change", [naming(EVIL), naming(""), naming_none], ids=["another", "empty", "none"])
def test_answer_that_does_not_name_the_provider_is_refused_before_its_code_is_sent(
    plain: Services, sample_tenant: SampleTenant, change: Change
) -> None:
    """A missing name counts as a wrong one where the provider says that it sends it."""
    with pytest.raises(SignInFailed) as refused:
        signed_in(plain, change)
    assert refused.value.code == "answer_issuer"
    assert sample_tenant.log()["token_requests"] == 0


def test_issuer_is_compared_as_text(plain: Services, sample_tenant: SampleTenant) -> None:
    """RFC 9207, 2.4: simple string comparison. No slash is forgiven."""
    with pytest.raises(SignInFailed) as refused:
        signed_in(plain, naming(sample_tenant.oidc_authority + "/"))
    assert refused.value.code == "answer_issuer"


def test_error_of_another_provider_is_not_shown_as_ours(plain: Services) -> None:
    """RFC 9207, 2.4: its words are not believed."""
    with pytest.raises(SignInFailed) as refused:
        signed_in(plain, naming(EVIL), accept=False)
    assert refused.value.code == "answer_issuer"
    with pytest.raises(SignInFailed) as declined:
        signed_in(plain, lambda answer: answer, accept=False)
    assert declined.value.code == "65004"


@pytest.mark.parametrize("segment", ["", "organizations"])
def test_entra_need_not_name_itself_but_must_not_be_named_wrongly(
    make_services: MakeServices, sample_tenant: SampleTenant, segment: str
) -> None:
    """Entra sends no `iss`. If it begins to, the right one is taken, also where the authority is for many tenants."""
    authority = sample_tenant.authority_of(segment or sample_tenant.tenant_id)
    app = make_services(AUTHORITY=authority)
    own = f"{sample_tenant.authority_of(sample_tenant.tenant_id)}/v2.0"
    assert signed_in(app, naming_none).tenant_id == sample_tenant.tenant_id
    assert signed_in(app, naming(own)).tenant_id == sample_tenant.tenant_id
    for wrong in (EVIL, own + "/", EVIL + "/v2.0", sample_tenant.oidc_authority):
        with pytest.raises(SignInFailed) as refused:
            signed_in(app, naming(wrong))
        assert refused.value.code == "answer_issuer"


def test_entra_of_one_tenant_is_not_another_tenant(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """The issuer holds the tenant's id."""
    with pytest.raises(SignInFailed) as refused:
        signed_in(make_services(), naming(f"{sample_tenant.authority_of(FABRIKAM.tid)}/v2.0"))
    assert refused.value.code == "answer_issuer"
