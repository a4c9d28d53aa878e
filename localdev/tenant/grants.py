"""What can be redeemed for tokens: authorization codes (once, within ten minutes) and refresh tokens."""

import secrets
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from localdev.tenant.errors import refuse
from localdev.tenant.journal import Journal
from localdev.tenant.settings import TenantSettings
from localdev.tenant.tickets import Tickets

_REVOKED = -1
Provider = Literal["entra", "oidc"]


@dataclass(frozen=True)
class SignIn:
    """One person's sign-in to one app, as codes and refresh tokens carry it. `events`: see people."""

    client_id: str
    username: str
    tid: str
    scope: str
    events: int
    auth_time: float
    provider: Provider = "entra"
    nonce: str = ""
    cae: bool = False
    sid: str = field(default_factory=lambda: str(uuid.uuid4()))
    family: str = field(default_factory=lambda: secrets.token_hex(8))
    number: int = 0
    issued: float = 0


@dataclass
class Code:
    """What an authorization code stands for."""

    sign_in: SignIn
    redirect_uri: str
    challenge: str
    expires: float
    spent: bool = False


class Codes:
    """Authorization codes, in memory: none needs to survive a restart."""

    def __init__(self, clock: Callable[[], float], settings: TenantSettings, journal: Journal) -> None:
        self._clock, self._settings, self._journal = clock, settings, journal
        self._codes: dict[str, Code] = {}

    def issue(self, sign_in: SignIn, redirect_uri: str, challenge: str) -> str:
        """A new code."""
        now = self._clock()
        # Used codes are kept for a while, so that a replay differs from an unknown code.
        self._codes = {text: code for text, code in self._codes.items() if code.expires + 3600 > now}
        text = "1.AX" + secrets.token_urlsafe(48)
        self._codes[text] = Code(sign_in, redirect_uri, challenge, now + self._settings.code_lifetime)
        self._journal.count("codes_issued", sign_in.username)
        return self._journal.issued("code", text, username=sign_in.username, at=now)

    def peek(self, text: str) -> SignIn | None:
        """The sign-in that a code belongs to."""
        code = self._codes.get(text)
        return code.sign_in if code else None

    def take(self, text: str, client_id: str) -> Code:
        """Returns the code if it is valid and this client's. It is not used up yet: call `spend` when all else is
        right."""
        code = self._codes.get(text)
        if code is None:
            raise refuse(9002313)
        if code.sign_in.client_id != client_id:
            raise refuse(70000, reason="it was issued to another client")
        if code.spent:
            raise refuse(54005)
        if code.expires < self._clock():
            raise refuse(70008)
        return code


class RefreshTokens:
    """Sealed tickets. Only strict rotation needs a memory: the newest number that each family has reached."""

    def __init__(
        self,
        clock: Callable[[], float],
        settings: TenantSettings,
        journal: Journal,
        tickets: Tickets,
        families: dict[str, int],
        save: Callable[[dict[str, int]], None],
    ) -> None:
        self._clock, self._settings, self._journal, self._tickets = clock, settings, journal, tickets
        self._families, self._save = families, save

    def issue(self, sign_in: SignIn) -> str:
        """A refresh token for the sign-in as it stands."""
        now = self._clock()
        content = asdict(replace(sign_in, issued=now, nonce=""))
        token = "1.AQ." + self._tickets.seal("refresh", content)
        return self._journal.issued("refresh_token", token, username=sign_in.username, at=now)

    def open(self, token: str) -> SignIn | None:
        """The sign-in of a refresh token, or None for anything else. Does not check whether the token is still
        valid."""
        content = self._tickets.open("refresh", token.removeprefix("1.AQ."))
        return SignIn(**content) if content is not None else None

    def redeem(self, sign_in: SignIn) -> SignIn:
        """The sign-in to issue the next refresh token for. Under strict rotation, a second use revokes the family."""
        if self._settings.refresh_token_lifetime < self._clock() - sign_in.issued:
            raise refuse(700082)
        newest = self._families.get(sign_in.family, 0)
        if newest == _REVOKED:
            raise refuse(70000, reason="its family was revoked")
        if self._settings.rotation == "strict":
            self._advance(sign_in, newest)
        return replace(sign_in, number=sign_in.number + 1)

    def _advance(self, sign_in: SignIn, newest: int) -> None:
        reused = sign_in.number < newest
        self._families[sign_in.family] = _REVOKED if reused else sign_in.number + 1
        self._save(self._families)
        if reused:
            self._journal.count("families_revoked", sign_in.username)
            raise refuse(70000, reason="it was redeemed before")

    def forget(self) -> None:
        """Forgets which families were revoked or advanced."""
        self._families.clear()
        self._save(self._families)
