"""Browser sessions and the sign-in flow, in sealed cookies. No tokens in them, and no storage behind them.

The name prefix is `__Secure-` over https, not `__Host-`: the Functions host writes an empty `domain=` into the cookie.
Current Chromium and Firefox accept `__Host-` beside it; Safari was not tried. Values are base64url without `=`: the
host percent-escapes everything else.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.accounts import Account, Person
from shared.clock import utc_now
from shared.errors import SealError
from shared.sealing import KeyRing
from shared.settings import Settings

FLOW_LIFETIME = timedelta(minutes=10)
_MOST_FLOWS = 5
_MOST_DELETIONS = 20
_LONGEST_COOKIE = 4096
_LONGEST_ROLES = 1000
# What a cookie holds, and its edition: one of another edition doesn't open, like one of another key.
_SESSION, _FLOW = "session/1", "sign-in-flow/1"
_FLOW_PATH = "/signin"  # not /signin/callback: /signin must see the other tabs' to keep them at five


@dataclass(frozen=True, slots=True)
class Cookie:
    """One Set-Cookie.

    Attributes:
        max_age: seconds; 0 deletes it.
    """

    name: str
    value: str
    path: str
    max_age: int
    secure: bool

    def header(self) -> str:
        """As the Functions worker can parse it."""
        secure = "; Secure" if self.secure else ""
        return f"{self.name}={self.value}; Path={self.path}; Max-Age={self.max_age}; HttpOnly; SameSite=Lax{secure}"


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser.

    Attributes:
        generation: must equal the account's SessionGeneration.
        roles: app roles from the id token, as of this sign-in.
        started_at, seen_at: for the absolute and the idle limit.
    """

    account_id: str
    generation: str
    name: str
    roles: tuple[str, ...]
    started_at: datetime
    seen_at: datetime


class Sessions:
    """Makes and reads the cookies."""

    def __init__(self, settings: Settings, *, now: Callable[[], datetime] = utc_now) -> None:
        self._keys: KeyRing = settings.key_ring
        self._secure = settings.secure_cookies
        self._idle = settings.session_idle
        self._absolute = settings.session_absolute
        self._now = now
        self._admin_role = settings.admin_role
        self._prefix = "__Secure-understudy" if self._secure else "understudy"
        self._any_flow = re.compile(re.escape(self._prefix) + "-flow-[0-9a-f]{12}")

    def start(self, person: Person, account: Account) -> Cookie:
        """A new session at every sign-in."""
        now = self._now()
        roles = self._fitting(person.roles)
        session = Session(account.account_id, account.session_generation, person.name, roles, now, now)
        return self._session_cookie(session)

    def read(self, cookies: Mapping[str, str]) -> Session | None:
        """The session, unless there is none, it is forged, or it has ended."""
        try:
            content = json.loads(self._keys.open_text(cookies.get(self._prefix, ""), purpose=_SESSION))
        except SealError:
            return None
        session = Session(
            content["id"],
            content["gen"],
            content["name"],
            tuple(content["roles"]),
            _at(content["start"]),
            _at(content["seen"]),
        )
        now = self._now()
        if now - session.started_at >= self._absolute or now - session.seen_at >= self._idle:
            return None
        return session

    def renew(self, session: Session) -> list[Cookie]:
        """The new cookie of a session that is in use; none until a twelfth of the idle limit has passed."""
        if self._now() - session.seen_at < self._idle / 12:
            return []
        return [self._session_cookie(replace(session, seen_at=self._now()))]

    def end(self) -> Cookie:
        """Deletes the session's cookie."""
        return Cookie(self._prefix, "", "/", 0, self._secure)

    def keep_flow(self, flow: Mapping[str, Any], next_path: str, cookies: Mapping[str, str]) -> list[Cookie]:
        """A cookie for one tab's sign-in, and the deletion of those beyond five."""
        content = json.dumps({"flow": dict(flow), "next": next_path, "at": self._now().timestamp()})
        name = self._flow_name(str(flow["state"]))
        value = self._keys.seal_text(content, purpose=_FLOW)
        kept = Cookie(name, value, _FLOW_PATH, int(FLOW_LIFETIME.total_seconds()), self._secure)
        return [kept, *self._surplus(cookies)]

    def flow(self, state: str, cookies: Mapping[str, str]) -> tuple[dict[str, Any], str] | None:
        """The flow that began with `state` in this browser and where to go afterwards; None when there is none or it is
        too old."""
        try:
            content = json.loads(self._keys.open_text(cookies.get(self._flow_name(state), ""), purpose=_FLOW))
        except SealError:
            return None
        if content["flow"]["state"] != state or self._now() - _at(content["at"]) >= FLOW_LIFETIME:
            return None
        return content["flow"], content["next"]

    def drop_flow(self, state: str) -> Cookie:
        """Deletes the cookie of a flow: it can be used once."""
        return Cookie(self._flow_name(state), "", _FLOW_PATH, 0, self._secure)

    def _session_cookie(self, session: Session) -> Cookie:
        content = {
            "id": session.account_id,
            "gen": session.generation,
            "name": session.name[:60],
            "roles": session.roles,
            "start": session.started_at.timestamp(),
            "seen": session.seen_at.timestamp(),
        }
        left = self._absolute - (self._now() - session.started_at)
        value = self._keys.seal_text(json.dumps(content), purpose=_SESSION)
        return Cookie(self._prefix, value, "/", int(left.total_seconds()), self._secure)

    def _surplus(self, cookies: Mapping[str, str]) -> list[Cookie]:
        """The oldest flows, and whatever doesn't open, so that with a new one there are five at most."""
        ages = {}
        for name, value in cookies.items():
            if self._any_flow.fullmatch(name):
                ages[name] = self._flow_time(value)
        surplus = sorted(ages, key=lambda name: ages[name])[: max(len(ages) - (_MOST_FLOWS - 1), 0)]
        return [Cookie(name, "", _FLOW_PATH, 0, self._secure) for name in surplus[:_MOST_DELETIONS]]

    def _fitting(self, roles: Sequence[str]) -> tuple[str, ...]:
        """The roles that fit into a cookie: the operators' first."""
        fitting: list[str] = []
        for role in sorted(roles, key=lambda role: role != self._admin_role):
            if sum(map(len, fitting)) + len(role) <= _LONGEST_ROLES:
                fitting.append(role)
        return tuple(fitting)

    def _flow_time(self, value: str) -> float:
        try:
            return float(json.loads(self._keys.open_text(value, purpose=_FLOW))["at"])
        except SealError:
            return 0.0

    def _flow_name(self, state: str) -> str:
        return f"{self._prefix}-flow-{hashlib.sha256(state.encode()).hexdigest()[:12]}"


def parse_cookies(header: str) -> dict[str, str]:
    """Cookies by name from a Cookie header (RFC 6265, 4.2.1). Left out: oversized ones, and those that come twice with
    different values: one of them may have been set by a neighbour of this host.

    `http.cookies` drops the whole header when one cookie, perhaps another app's on this host, is odd.
    """
    cookies: dict[str, str] = {}
    disputed: set[str] = set()
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals and len(value) <= _LONGEST_COOKIE:
            value = value.strip('"')
            if cookies.setdefault(name, value) != value:
                disputed.add(name)
    return {name: value for name, value in cookies.items() if name not in disputed}


def _at(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
