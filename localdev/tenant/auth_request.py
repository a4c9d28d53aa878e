"""An authorization request (OpenID Connect Core 1.0, 3.1.2.1) as plain data."""

from dataclasses import dataclass

from localdev.tenant.grants import Provider
from localdev.tenant.people import Person, tenants_of


@dataclass(frozen=True)
class AuthRequest:
    """An authorization request, as it arrived. `segment`: the authority's path, `oidc` for the plain provider."""

    segment: str
    client_id: str
    redirect_uri: str
    response_type: str = ""
    response_mode: str = "query"
    scope: str = ""
    state: str = ""
    nonce: str = ""
    code_challenge: str = ""
    code_challenge_method: str = ""
    login_hint: str = ""
    domain_hint: str = ""
    prompt: str = ""
    claims: str = ""

    @property
    def provider(self) -> Provider:
        """Which of the two providers the request is for."""
        return "oidc" if self.segment == "oidc" else "entra"

    @property
    def tids(self) -> tuple[str, ...]:
        """The tenants that this request may sign in to."""
        return tenants_of("common" if self.provider == "oidc" else self.segment)

    def tid(self, person: Person) -> str:
        """The tenant that this person signs in to."""
        return self.tids[0] if len(self.tids) == 1 else person.home
