"""Keeps a browser signed in by a sealed cookie. Its name contains the port, because cookies are shared between
ports."""

import base64
import binascii
import uuid
from dataclasses import asdict, dataclass, field

from starlette.requests import Request
from starlette.responses import Response

from localdev.tenant.people import Person
from localdev.tenant.tenancy import Tenancy


@dataclass(frozen=True)
class BrowserSession:
    """Who signed in, when, and how much had happened to them by then (see people)."""

    username: str
    events: int
    at: float
    sid: str = field(default_factory=lambda: str(uuid.uuid4()))


class BrowserSessions:
    """Starts, finds and ends sessions."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy

    def start(self, person: Person) -> BrowserSession:
        """Starts a session for a person who has just signed in."""
        return BrowserSession(person.username, person.events, self._tenancy.now())

    def of(self, request: Request) -> BrowserSession | None:
        """The session of this browser, if it has one."""
        content = self._tenancy.tickets.open("browser", request.cookies.get(self._name, ""))
        return BrowserSession(**content) if content else None

    def keep(self, response: Response, session: BrowserSession) -> None:
        """Sets the browser's cookie."""
        value = self._tenancy.tickets.seal("browser", asdict(session))
        self._tenancy.journal.secret(value)
        response.set_cookie(self._name, value, httponly=True, samesite="lax")

    def end(self, response: Response) -> None:
        """Deletes the browser's cookie."""
        response.delete_cookie(self._name, httponly=True, samesite="lax")

    def hinted(self, hint: str) -> str:
        """The username in a login_hint: plain, or packed as in the id token's login_hint claim."""
        if "@" in hint:
            return hint
        try:
            text = base64.urlsafe_b64decode(hint + "=" * (-len(hint) % 4)).decode()
        except (binascii.Error, ValueError):
            return ""
        return text.removeprefix("hint ") if text.startswith("hint ") else ""

    @property
    def _name(self) -> str:
        return "sample_tenant_" + self._tenancy.page.rpartition(":")[2]
