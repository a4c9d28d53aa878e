"""The grants of the token endpoint: what each checks before it gives tokens.

RFC 6749 (codes, refresh tokens, passwords), RFC 7636 (PKCE), RFC 8628 (device codes), and Microsoft's page
"OAuth 2.0 On-Behalf-Of flow".
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from localdev.tenant.apps import App
from localdev.tenant.encoding import base64url
from localdev.tenant.errors import refuse
from localdev.tenant.grants import Provider, SignIn
from localdev.tenant.scopes import API_SCOPE, Asked
from localdev.tenant.tenancy import Tenancy
from localdev.tenant.tokens import answer, granted

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
ON_BEHALF_OF = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass(frozen=True)
class TokenRequest:
    """One request, read: the authority's path segment, the tenants it stands for, the form, the proved client."""

    segment: str
    provider: Provider
    tids: tuple[str, ...]
    form: Mapping[str, str]
    app: App
    cae: bool

    def need(self, name: str) -> str:
        """A parameter that must be there."""
        value = self.form.get(name, "")
        if not value:
            raise refuse(900144, name=name)
        return value

    def tid(self, own: str) -> str:
        """The tenant that the tokens are for: the authority's if it names one, else `own`."""
        return self.tids[0] if len(self.tids) == 1 else own


class Redemption:
    """Each method takes a request of its grant type and returns the answer's JSON, or raises EntraError."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    def code(self, request: TokenRequest) -> dict[str, Any]:
        """Redeems an authorization code: once, by the same client, for the same redirect URI, with the PKCE
        verifier."""
        code = self._tenancy.codes.take(request.need("code"), request.app.client_id)
        if code.redirect_uri != request.form.get("redirect_uri", ""):
            raise refuse(500112, given=request.form.get("redirect_uri", ""))
        _check_verifier(code.challenge, request.form.get("code_verifier", ""))
        sign_in = self._standing(request, code.sign_in)
        self._asked(request, sign_in)
        code.spent = True
        return self._counted("codes_redeemed", sign_in, self._first_answer(request, sign_in))

    def refresh_token(self, request: TokenRequest) -> dict[str, Any]:
        """Redeems a refresh token of the same client. Rotates nothing unless everything is right."""
        held = self._tenancy.refresh_tokens.open(request.need("refresh_token"))
        if held is None:
            raise refuse(9002313)
        if held.client_id != request.app.client_id:
            raise refuse(70000, reason="it was issued to another client")
        sign_in = self._standing(request, held)
        asked = self._asked(request, sign_in)
        granted(self._tenancy, sign_in, asked)
        next_one = self._tenancy.refresh_tokens.redeem(sign_in)
        with_id_token = self._tenancy.settings.id_token_on_refresh
        body = self._answer(request, next_one, asked, refresh=True, id_token=with_id_token)
        return self._counted("refresh_tokens_redeemed", sign_in, body)

    def device_code(self, request: TokenRequest) -> dict[str, Any]:
        """Redeems a device code once a person has allowed it in a browser."""
        sign_in = self._tenancy.devices.redeem(request.need("device_code"), request.app.client_id)
        sign_in = self._standing(request, sign_in)
        return self._counted("device_codes_redeemed", sign_in, self._first_answer(request, sign_in))

    def password(self, request: TokenRequest) -> dict[str, Any]:
        """Checks a username and password. Consent must exist already; a policy that needs a page refuses."""
        if request.segment in ("common", "consumers"):
            raise refuse(90010)
        person = self._tenancy.people.get(request.need("username"))
        if not secrets.compare_digest(request.need("password").encode(), person.password.encode()):
            raise refuse(50126)
        sign_in = SignIn(
            client_id=request.app.client_id,
            username=person.username,
            tid=person.home,
            scope=request.need("scope"),
            events=person.events,
            auth_time=self._tenancy.now(),
            provider=request.provider,
        )
        person.check_no_page_needed()
        sign_in = self._standing(request, sign_in)
        return self._counted("passwords_redeemed", sign_in, self._first_answer(request, sign_in))

    def on_behalf_of(self, request: TokenRequest) -> dict[str, Any]:
        """Exchanges an access token for the app's own API for a Graph token, on behalf of the person."""
        if request.need("requested_token_use") != "on_behalf_of":
            raise refuse(9002313)
        if request.app.public:
            raise refuse(70001)
        claims = self._assertion(request)
        person = self._tenancy.people.by_subject(str(claims.get("oid")))
        if person is None:
            raise refuse(50013, reason="it names nobody")
        sign_in = SignIn(
            client_id=request.app.client_id,
            username=person.username,
            tid=str(claims["tid"]),
            scope=request.need("scope"),
            events=int(claims["xms_events"]),
            auth_time=float(claims["iat"]),
            sid=str(claims["sid"]),
        )
        sign_in = self._standing(request, sign_in)
        return self._counted("on_behalf_of_redeemed", sign_in, self._first_answer(request, sign_in))

    def client_credentials(self, _: TokenRequest) -> dict[str, Any]:
        """Always refuses: the app has delegated permissions only."""
        raise refuse(70001)

    def _assertion(self, request: TokenRequest) -> dict[str, Any]:
        claims = self._tenancy.signing.verified(request.need("assertion"))
        if claims is None:
            raise refuse(50013, reason="its signature is not ours")
        if claims.get("aud") != request.app.client_id or API_SCOPE not in str(claims.get("scp", "")).split():
            raise refuse(50013, reason="it is not an access token for this application's API")
        if not claims["nbf"] <= self._tenancy.now() < claims["exp"]:
            raise refuse(500133)
        return claims

    def _standing(self, request: TokenRequest, sign_in: SignIn) -> SignIn:
        """The sign-in in the request's tenant, if it is still valid for the person and belongs to this provider."""
        person = self._tenancy.people.get(sign_in.username)
        if sign_in.provider != request.provider:
            raise refuse(70000, reason="it was issued by another provider")
        tid = request.tid(sign_in.tid)
        if tid not in person.oids:
            raise refuse(50020, username=person.username, tenant=tid)
        if tid in request.app.removed_from_tenants:
            raise refuse(700016, client=request.app.client_id)
        person.check_not_barred(sign_in.events)
        return replace(sign_in, tid=tid)

    def _asked(self, request: TokenRequest, sign_in: SignIn) -> Asked:
        """What the request asks for: scopes of one resource (AADSTS28000). They may be left out, unless the sign-in was
        for several resources (AADSTS28003)."""
        asked = self._tenancy.scopes.read(request.form.get("scope") or sign_in.scope, unknown=70011)
        if not request.form.get("scope") and len({each.resource for each in asked.api}) > 1:
            raise refuse(28003)
        asked.resource()
        return asked

    def _first_answer(self, request: TokenRequest, sign_in: SignIn) -> dict[str, Any]:
        asked = self._asked(request, sign_in)
        return self._answer(request, sign_in, asked, refresh="offline_access" in asked.oidc)

    def _answer(
        self, request: TokenRequest, sign_in: SignIn, asked: Asked, *, refresh: bool, id_token: bool = True
    ) -> dict[str, Any]:
        return answer(
            self._tenancy,
            sign_in,
            asked,
            client_info=request.form.get("client_info") == "1",
            cae=request.cae or sign_in.cae,
            refresh=refresh,
            id_token=id_token,
        )

    def _counted(self, what: str, sign_in: SignIn, body: dict[str, Any]) -> dict[str, Any]:
        self._tenancy.journal.count(what, sign_in.username)
        return body


def _check_verifier(challenge: str, verifier: str) -> None:
    if challenge and base64url(hashlib.sha256(verifier.encode()).digest()) != challenge:
        raise refuse(501481)
