"""POST /{tenant}/oauth2/v2.0/token and /oidc/token (RFC 6749): authenticates the client, then answers or refuses."""

import asyncio
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localdev.tenant import client_auth
from localdev.tenant.errors import EntraError, refuse
from localdev.tenant.grants import Provider
from localdev.tenant.people import tenants_of
from localdev.tenant.redemption import DEVICE_CODE, ON_BEHALF_OF, Redemption, TokenRequest
from localdev.tenant.tenancy import Tenancy, read_claims, wants_cae

_PENDING = 70016
_NEVER_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenEndpoint:
    """The endpoint for every tenant of one tenancy."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        redemption = Redemption(tenancy)
        self._grants = {
            "authorization_code": redemption.code,
            "refresh_token": redemption.refresh_token,
            DEVICE_CODE: redemption.device_code,
            "password": redemption.password,
            ON_BEHALF_OF: redemption.on_behalf_of,
            "client_credentials": redemption.client_credentials,
        }

    async def token(self, request: Request) -> Response:
        """Answers one token request, or shows a fault."""
        form = await read_form(request)
        self._tenancy.journal.enter()
        try:
            if self._tenancy.settings.latency:
                await asyncio.sleep(self._tenancy.settings.latency)
            return self._disturbed(request, form)
        finally:
            self._tenancy.journal.leave()

    async def device_authorization(self, request: Request) -> Response:
        """POST /{tenant}/oauth2/v2.0/devicecode (RFC 8628, 3.1)."""
        form = await read_form(request)
        try:
            read = self._read(_segment(request), form, request.headers.get("authorization", ""))
            asked = self._tenancy.scopes.read(read.need("scope"), unknown=70011)
            asked.resource()
            return JSONResponse(self._tenancy.devices.start(read.app.client_id, read.tids, form["scope"]))
        except EntraError as error:
            return refusal(self._tenancy, error, request)

    def _disturbed(self, request: Request, form: Mapping[str, str]) -> Response:
        who, grant = self._who(form), form.get("grant_type", "")
        fault = self._tenancy.faults.take("token", who, grant)
        if fault:
            self._tenancy.journal.count("faults", who)
            if fault.kind == "oauth_error" and (fault.status or 400) < 500:
                codes = (fault.body or {}).get("error_codes") or [0]
                self._tenancy.journal.refused(int(codes[0]), grant, who, at=self._tenancy.now())
        return self._tenancy.faults.answer(fault, lambda: self._answer(request, form))

    def _answer(self, request: Request, form: Mapping[str, str]) -> Response:
        try:
            body = self._granted(_segment(request), form, request.headers.get("authorization", ""))
        except EntraError as error:
            if error.code != _PENDING:
                grant = form.get("grant_type", "")
                self._tenancy.journal.refused(error.code, grant, self._who(form), at=self._tenancy.now())
            return refusal(self._tenancy, error, request)
        return JSONResponse(body, headers=_NEVER_STORED)

    def _granted(self, segment: str, form: Mapping[str, str], authorization: str) -> dict[str, Any]:
        request = self._read(segment, form, authorization)
        redeem = self._grants.get(request.need("grant_type"))
        if redeem is None:
            raise refuse(70003, given=form["grant_type"])
        return redeem(request)

    def _read(self, segment: str, form: Mapping[str, str], authorization: str) -> TokenRequest:
        provider: Provider = "oidc" if segment == "oidc" else "entra"
        tids = tenants_of("common" if provider == "oidc" else segment)
        back = self._tenancy.back
        audiences = {f"{back}/{segment}/oauth2/v2.0/token", f"{back}/{segment}/v2.0", f"{back}/{segment}/token"}
        presented = client_auth.read(form, authorization)
        app = client_auth.authenticate(self._tenancy, presented, tids=tids, audiences=audiences)
        try:
            cae = wants_cae(read_claims(form.get("claims", "")))
        except (ValueError, AttributeError) as error:
            raise refuse(70002) from error
        return TokenRequest(segment, provider, tids, form, app, cae)

    def _who(self, form: Mapping[str, str]) -> str | None:
        """The person of a request, valid or not: for faults that apply to one person, and for the journal."""
        sign_in = (
            self._tenancy.refresh_tokens.open(form.get("refresh_token", ""))
            or self._tenancy.codes.peek(form.get("code", ""))
            or self._tenancy.devices.peek(form.get("device_code", ""))
        )
        if sign_in:
            return sign_in.username
        claims = self._tenancy.signing.verified(form.get("assertion", "")) or {}
        people = self._tenancy.people
        person = people.by_subject(str(claims.get("oid"))) or people.find(form.get("username", ""))
        return person.username if person else None


async def read_form(request: Request) -> dict[str, str]:
    """The posted form. When a parameter comes twice, the last one counts."""
    body = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(body, keep_blank_values=True))


def refusal(tenancy: Tenancy, error: EntraError, request: Request) -> Response:
    """An error in the words of this request's provider."""
    correlation_id = request.headers.get("client-request-id") or str(uuid.uuid4())
    if _segment(request) == "oidc":
        plain = {"error": error.error, "error_description": error.text}
        return JSONResponse(plain, error.status, _NEVER_STORED)
    body = error.body(now=tenancy.now(), correlation_id=correlation_id, base=tenancy.back)
    return JSONResponse(body, error.status, _NEVER_STORED | {"x-ms-request-id": error.trace_id})


def _segment(request: Request) -> str:
    return str(request.path_params.get("tenant", "oidc"))
