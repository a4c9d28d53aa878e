"""MSAL against the sample tenant over TLS: credentials, authorities, and what stored caches of all kinds lead to."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from localdev.tenant import SampleTenant
from shared.accounts import Account, Outcome
from shared.clients.answers import HttpAnswer
from shared.clients.http import HttpClient
from shared.errors import Misconfigured, SettingsError
from shared.identity import Acquired
from shared.identity.msal_http_client import TokenRequestHeld
from shared.sealing import new_key
from shared.services import Services
from tests.support import ADA, MakeServices, keys_of, sign_in


def acquire(app: Services, account: Account) -> Acquired:
    """A silent acquisition, as a sweep does it."""
    acquisition = app.identity.acquisition(account)
    if acquisition.prepare():
        acquisition.send()
    return acquisition.complete()


def test_secret_certificate_and_managed_identity_all_sign_in_and_refresh(
    make_services: MakeServices, sample_tenant: SampleTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app can authenticate in three ways, and the tenant verifies each."""
    for name, value in sample_tenant.managed_identity_environment().items():
        monkeypatch.setenv(name, value)
    certificate = sample_tenant.make_certificate()
    ways = [
        {},
        {"CLIENT_SECRET": "", "CLIENT_CERTIFICATE": certificate.private_key + certificate.certificate},
        {"CLIENT_SECRET": "", "CLIENT_ASSERTION": "managed-identity"},
    ]
    for changes in ways:
        app = make_services(**changes)
        assert acquire(app, sign_in(app)).verdict.outcome is Outcome.FRESH, changes
    assert sample_tenant.log()["refused"] == 0


def test_a_certificate_that_is_none_is_a_settings_error(make_services: MakeServices) -> None:
    """It is found before any turn, and the error names the setting."""
    for value in ("/no/such/file.pem", "-----BEGIN NONSENSE-----"):
        app = make_services(CLIENT_SECRET="", CLIENT_CERTIFICATE=value)
        with pytest.raises(SettingsError, match="CLIENT_CERTIFICATE"):
            app.identity.begin_sign_in()


def test_openid_provider_without_tenants_keeps_people_by_sub(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """OIDC_AUTHORITY; refresh answers may lack the id_token, and the person is still found the next time."""
    app = make_services(AUTHORITY="", OIDC_AUTHORITY=sample_tenant.oidc_authority)
    account = sign_in(app)
    assert account.account_id
    assert account.tenant_id == ""
    sample_tenant.change_settings(id_token_on_refresh=False)
    for _ in range(2):
        result = acquire(app, account)
        assert result.verdict.outcome is Outcome.FRESH
        assert result.sealed_cache is not None
        account = result.renewed(account)


def test_a_refresh_asks_a_plain_provider_for_what_was_granted_and_entra_by_name(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """MSAL adds scopes of its own. A person who refused one of them to a plain provider would be refused for it."""
    plain = make_services(AUTHORITY="", OIDC_AUTHORITY=sample_tenant.oidc_authority)
    asked = []
    for app in (plain, make_services()):
        request = app.identity.acquisition(sign_in(app)).prepare()
        assert request is not None
        asked.append(parse_qs(request.body.decode()).get("scope"))
    assert asked == [None, ["User.Read offline_access openid profile"]]


def test_a_token_that_came_without_scopes_is_found_in_the_cache(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """A refresh that named no scopes leaves a token that the next acquisition uses."""
    sample_tenant.change_settings(access_token_lifetime=50)
    app = make_services(AUTHORITY="", OIDC_AUTHORITY=sample_tenant.oidc_authority)
    account = sign_in(app)
    sample_tenant.change_settings(access_token_lifetime=3600)
    first = acquire(app, account)
    second = acquire(app, first.renewed(account))
    assert [first.verdict.outcome, second.verdict.outcome] == [Outcome.FRESH, Outcome.CACHED]


def test_us_government_by_settings_alone(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """Another authority, Graph URL and scopes with that Graph's name in front: sign-in, refresh, and Graph's
    address."""
    scope = "https://graph.microsoft.us/User.Read"
    app = make_services(SCOPES=scope)
    account = sign_in(app)
    assert account.scopes == (scope,)
    result = acquire(app, account)
    assert result.verdict.outcome is Outcome.FRESH
    assert app.graph(result.access_token).me()["mail"] == ADA
    real = make_services(
        AUTHORITY="https://login.microsoftonline.us/contoso.example",
        GRAPH_URL="https://graph.microsoft.us",
        SCOPES=scope,
    )
    assert real.graph("t").url == "https://graph.microsoft.us"
    assert real.settings.authority == "https://login.microsoftonline.us/contoso.example"


def test_a_scope_added_to_the_settings_sets_nobody_aside(make_services: MakeServices) -> None:
    """The sweep asks for what the person granted."""
    account = sign_in(make_services())
    later = make_services(SCOPES="User.Read Mail.Read", ENCRYPTION_KEYS=keys_of(make_services))
    assert acquire(later, account).verdict.outcome is Outcome.FRESH


def test_another_client_id_or_authority_host_is_misconfigured(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """A cache for another client or host points to our settings: nobody is set aside and no request is sent."""
    keys = keys_of(make_services)
    account = sign_in(make_services(ENCRYPTION_KEYS=keys))
    asked = sample_tenant.log()["refused"]
    other_client = make_services(CLIENT_ID="00000000-0000-0000-0000-00000000000a", ENCRYPTION_KEYS=keys)
    authority = sample_tenant.authority.replace("localhost", "127.0.0.1")
    other_host = make_services(AUTHORITY=authority, ENCRYPTION_KEYS=keys)
    for app, code in ((other_client, "other_client"), (other_host, "other_host")):
        verdict = acquire(app, account).verdict
        assert (verdict.outcome, verdict.code) == (Outcome.MISCONFIGURED, code)
    assert sample_tenant.log()["refused"] == asked


def test_unknown_tenant_is_misconfigured(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """The error has the number of discovery's refusal."""
    app = make_services(AUTHORITY=sample_tenant.authority_of("nowhere.example"))
    with pytest.raises(Misconfigured, match="90002"):
        app.identity.begin_sign_in()


def test_another_issuer_on_the_same_host_is_refused(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """OpenID Connect Discovery 1.0, 4.3. MSAL accepts any issuer on the host (`has_valid_issuer`)."""
    other = sample_tenant.authority_of("common") + "/v2.0"  # whose document names a template
    app = make_services(AUTHORITY="", OIDC_AUTHORITY=other)
    with pytest.raises(Misconfigured, match="invalid_issuer"):
        app.identity.begin_sign_in()


def test_preparing_redeems_nothing_and_sending_redeems_once(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """Between the two steps the caller takes the row's lease. A token that is still valid needs no request."""
    app = make_services()
    acquisition = app.identity.acquisition(sign_in(app))
    request = acquisition.prepare()
    assert request is not None
    assert request.grant_type == "refresh_token"
    assert sample_tenant.log()["refresh_tokens_redeemed"] == 0
    with pytest.raises(TokenRequestHeld):
        acquisition.complete()
    acquisition.send()
    result = acquisition.complete()
    assert (result.verdict.outcome, result.sent) == (Outcome.FRESH, True)
    assert sample_tenant.log()["refresh_tokens_redeemed"] == 1
    sample_tenant.change_settings(access_token_lifetime=3600)
    acquisition = app.identity.acquisition(sign_in(app))
    assert acquisition.prepare() is None
    result = acquisition.complete()
    assert (result.verdict.outcome, result.sent) == (Outcome.CACHED, False)


def test_a_request_is_never_followed_by_one_with_an_older_refresh_token(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """MSAL would try every refresh token that it finds. With strict rotation an older one revokes the family."""
    app = make_services()
    account = sign_in(app)
    cache = json.loads(app.settings.key_ring.open_cache(account.sealed_cache, account.account_id))
    (token,) = cache["RefreshToken"].values()
    older = token | {"secret": "older", "target": "Mail.Read", "last_modification_time": "1"}
    cache["RefreshToken"]["older"] = older
    sealed = app.settings.key_ring.seal_cache(json.dumps(cache), account.account_id)
    sample_tenant.change_person(ADA, state="revoked")
    result = acquire(app, replace(account, sealed_cache=sealed))
    assert result.verdict.outcome is Outcome.SIGN_IN_REQUIRED
    assert sample_tenant.log()["refused"] == 1


def test_stored_blob_holds_no_secret_in_clear_and_opens_with_its_key_only(
    make_services: MakeServices, sample_tenant: SampleTenant
) -> None:
    """The stored row has no secret in clear. With another key the outcome is `unreadable`, and the blob stays."""
    app = make_services()
    account = sign_in(app)
    (entity,) = app.tables.get_table_client("Accounts").list_entities()
    raw = repr(dict(entity)).encode() + account.sealed_cache
    secrets = [each for each in sample_tenant.issued_secrets() if len(each) > 8]
    assert len(secrets) >= 4
    assert not [each for each in secrets if each.encode() in raw]
    other = make_services(ENCRYPTION_KEYS=new_key("other"))
    verdict = acquire(other, account).verdict
    assert (verdict.outcome, verdict.code) == (Outcome.UNREADABLE, "unknown_key")


def test_person_without_anything_to_redeem_must_sign_in(make_services: MakeServices) -> None:
    """The cache could be read and is empty."""
    app = make_services()
    account = sign_in(app)
    empty = replace(account, sealed_cache=app.settings.key_ring.seal_cache("{}", account.account_id))
    assert acquire(app, empty).verdict.outcome is Outcome.SIGN_IN_REQUIRED


class RefusingClient(HttpClient):
    """The app's HTTP client, and an OpenID provider that takes the client's secret in one way only.

    Attributes:
        ways: in which it was presented, one per token request.
    """

    def __init__(self, refused: str, **options: Any) -> None:
        super().__init__(**options)
        self.ways: list[str] = []
        self._refused = refused

    def request(self, method: str, url: str, **options: Any) -> HttpAnswer:
        """See HttpClient."""
        if method == "POST":
            way = "basic" if "Authorization" in options["headers"] else "post"
            self.ways.append(way)
            if way == self._refused:
                return HttpAnswer(401, {}, b'{"error": "invalid_client"}')
        return super().request(method, url, **options)


@pytest.mark.parametrize(("refused", "ways"), [("basic", ["basic", "post", "post"]), ("post", ["basic", "basic"])])
def test_the_secret_is_presented_as_the_provider_accepts_it(
    make_services: MakeServices, sample_tenant: SampleTenant, refused: str, ways: list[str]
) -> None:
    """Both ways are offered, one is accepted, and the app keeps to it. Nothing was redeemed by the refused request."""
    client = RefusingClient(refused, ca_bundle=str(sample_tenant.ca_bundle))
    app = make_services(AUTHORITY="", OIDC_AUTHORITY=sample_tenant.oidc_authority, http=client)
    assert acquire(app, sign_in(app)).verdict.outcome is Outcome.FRESH
    assert client.ways == ways


def test_a_way_that_is_set_is_the_only_one(make_services: MakeServices, sample_tenant: SampleTenant) -> None:
    """CLIENT_AUTHENTICATION spares the provider a request that it would refuse."""
    client = RefusingClient("basic", ca_bundle=str(sample_tenant.ca_bundle))
    plain = {"AUTHORITY": "", "OIDC_AUTHORITY": sample_tenant.oidc_authority}
    app = make_services(**plain, CLIENT_AUTHENTICATION="client_secret_post", http=client)
    sign_in(app)
    assert client.ways == ["post"]


class ForgetfulClient(HttpClient):
    """The app's HTTP client behind something that gives everybody the first token answer that it saw: a cache, or a
    connection whose answers are one late."""

    _first: HttpAnswer | None = None

    def request(self, method: str, url: str, **options: Any) -> HttpAnswer:
        """See HttpClient."""
        answer = super().request(method, url, **options)
        if method == "POST":
            self._first = answer = self._first or answer
        return answer


@pytest.mark.parametrize("plain", [False, True], ids=["Entra", "plain OpenID"])
def test_nobody_gets_the_tokens_of_somebody_else(
    make_services: MakeServices, sample_tenant: SampleTenant, plain: bool
) -> None:
    """Ada's answer comes to Ben: no token of hers is used or stored for him, and he is tried again later."""
    authority = {"AUTHORITY": "", "OIDC_AUTHORITY": sample_tenant.oidc_authority} if plain else {}
    app = make_services(http=ForgetfulClient(ca_bundle=str(sample_tenant.ca_bundle)), **authority)
    people = make_services(**authority)
    ada, ben = sign_in(people), sign_in(people, "ben@contoso.example")
    assert acquire(app, ada).verdict.outcome is Outcome.FRESH
    result = acquire(app, ben)
    assert (result.verdict.outcome, result.verdict.code) == (Outcome.UNAVAILABLE, "other_person")
    assert (result.access_token, result.sealed_cache) == ("", None)
