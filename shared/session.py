"""Browser sessions and sign-in flows, in sealed cookies. They hold no tokens, and no storage is behind them.

The name prefix is `__Secure-` over https, not `__Host-`: the Functions host writes an empty `domain=` into the cookie.
Current Chromium and Firefox accept `__Host-` beside it; Safari was not tried. Values are base64url without `=`: the
host percent-escapes everything else.
"""

import hashlib
import itertools
import json
import re
import threading
from collections.abc import Callable, Mapping
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
# What a cookie holds, and its version: a cookie of another version doesn't open, like one of another key.
_SESSION, _FLOW, _SIGN_OUT = "session/1", "sign-in-flow/1", "sign-out/1"
_FLOW_PATH = "/signin"  # not /signin/callback: /signin must see the other tabs' cookies to keep them at five


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
        """The header's value, in a form that the Functions worker can parse."""
        secure = "; Secure" if self.secure else ""
        return f"{self.name}={self.value}; Path={self.path}; Max-Age={self.max_age}; HttpOnly; SameSite=Lax{secure}"


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser.

    Attributes:
        generation: must equal the account's SessionGeneration.
        roles: app roles from the id token, as of this sign-in.
        started_at, seen_at: what SESSION_ABSOLUTE and SESSION_IDLE count from.
    """

    account_id: str
    generation: str
    name: str
    roles: tuple[str, ...]
    started_at: datetime
    seen_at: datetime


class Sessions:
    """Seals and opens the cookies of sessions and sign-in flows."""

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
        """The cookie of a new session. Roles that don't fit are left out; ADMIN_ROLE comes first."""
        now = self._now()
        roles: list[str] = []
        for role in sorted(person.roles, key=lambda role: role != self._admin_role):
            if sum(map(len, roles)) + len(role) <= _LONGEST_ROLES:
                roles.append(role)
        session = Session(account.account_id, account.session_generation, person.name, tuple(roles), now, now)
        return self._session_cookie(session)

    def read(self, cookies: Mapping[str, str]) -> Session | None:
        """The session; None when there is none, it is forged, or it has ended."""
        return self._open_session(cookies.get(self._prefix, ""), _SESSION)

    def renew(self, session: Session) -> list[Cookie]:
        """A fresh cookie for a session in use; none until a twelfth of SESSION_IDLE has passed."""
        if self._now() - session.seen_at < self._idle / 12:
            return []
        return [self._session_cookie(replace(session, seen_at=self._now()))]

    def end(self) -> Cookie:
        """The cookie that deletes the session's cookie."""
        return Cookie(self._prefix, "", "/", 0, self._secure)

    def keep_sign_out(self, session: Session) -> str:
        """The session, sealed for a form that tries a sign-out again after its cookie is gone. It is no cookie: only
        `read_sign_out` opens it."""
        return self._seal_session(session, _SIGN_OUT)

    def read_sign_out(self, text: str) -> Session | None:
        """The session of a sign-out that is tried again; None when it is forged, or the session has ended by itself."""
        return self._open_session(text, _SIGN_OUT)

    def keep_flow(self, flow: Mapping[str, Any], next_path: str, cookies: Mapping[str, str]) -> list[Cookie]:
        """A cookie for one tab's sign-in, and cookies that delete the oldest flows, so that five are left at most.

        Flows that don't open count as the oldest.
        """
        content = json.dumps({"flow": dict(flow), "next": next_path, "at": self._now().timestamp()})
        name = self._flow_name(str(flow["state"]))
        value = self._keys.seal_text(content, purpose=_FLOW)
        kept = Cookie(name, value, _FLOW_PATH, int(FLOW_LIFETIME.total_seconds()), self._secure)
        began: dict[str, float] = {}
        for name, value in cookies.items():
            if self._any_flow.fullmatch(name):
                opened = self._open(value, _FLOW)
                began[name] = opened["at"] if opened else 0.0
        surplus = sorted(began, key=lambda name: began[name])[: max(len(began) - (_MOST_FLOWS - 1), 0)]
        return [kept, *(Cookie(name, "", _FLOW_PATH, 0, self._secure) for name in surplus[:_MOST_DELETIONS])]

    def read_flow(self, state: str, cookies: Mapping[str, str]) -> tuple[dict[str, Any], str] | None:
        """The flow that began with `state` in this browser, and the path to go to afterwards; None when there is none
        or it is older than FLOW_LIFETIME."""
        content = self._open(cookies.get(self._flow_name(state), ""), _FLOW)
        if content is None:
            return None
        age = self._now() - datetime.fromtimestamp(content["at"], UTC)
        if content["flow"]["state"] != state or age >= FLOW_LIFETIME:
            return None
        return content["flow"], content["next"]

    def drop_flow(self, state: str) -> Cookie:
        """The cookie that deletes a flow's cookie. `UsedFlows` refuses a copy of it."""
        return Cookie(self._flow_name(state), "", _FLOW_PATH, 0, self._secure)

    def _session_cookie(self, session: Session) -> Cookie:
        left = self._absolute - (self._now() - session.started_at)
        value = self._seal_session(session, _SESSION)
        return Cookie(self._prefix, value, "/", int(left.total_seconds()), self._secure)

    def _seal_session(self, session: Session, purpose: str) -> str:
        content = {
            "id": session.account_id,
            "gen": session.generation,
            "name": session.name[:60],
            "roles": session.roles,
            "start": session.started_at.timestamp(),
            "seen": session.seen_at.timestamp(),
        }
        return self._keys.seal_text(json.dumps(content), purpose=purpose)

    def _open_session(self, value: str, purpose: str) -> Session | None:
        content = self._open(value, purpose)
        if content is None:
            return None
        session = Session(
            content["id"],
            content["gen"],
            content["name"],
            tuple(content["roles"]),
            datetime.fromtimestamp(content["start"], UTC),
            datetime.fromtimestamp(content["seen"], UTC),
        )
        now = self._now()
        if now - session.started_at >= self._absolute or now - session.seen_at >= self._idle:
            return None
        return session

    def _open(self, value: str, purpose: str) -> dict[str, Any] | None:
        """What a sealed value holds; None when it doesn't open."""
        try:
            content: dict[str, Any] = json.loads(self._keys.open_text(value, purpose=purpose))
        except SealError:
            return None
        return content

    def _flow_name(self, state: str) -> str:
        return f"{self._prefix}-flow-{hashlib.sha256(state.encode()).hexdigest()[:12]}"


class UsedFlows:
    """The sign-in flows that came back to this process: each is accepted once.

    It holds a digest per flow that came back, for as long as the flow's cookie could open, and has no other bound: with
    one, strangers could push out the flow of somebody else. A stranger pays two requests per entry, one that begins
    the flow and one that brings it back. Only a flow that this app sealed gets an entry.
    """

    def __init__(self) -> None:
        self._ends: dict[bytes, float] = {}  # in the order of their ends, as all last equally long
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many it holds."""
        return len(self._ends)

    def use(self, state: str, *, now: datetime) -> bool:
        """Notes that the flow of `state` came back. False when it did before: it must not be accepted again.

        Of several callers at once, one gets True.
        """
        digest = hashlib.sha256(state.encode()).digest()[:16]
        with self._lock:
            for oldest in list(itertools.takewhile(lambda each: self._ends[each] <= now.timestamp(), self._ends)):
                del self._ends[oldest]
            if digest in self._ends:
                return False
            self._ends[digest] = (now + FLOW_LIFETIME).timestamp()
            return True


def parse_cookies(header: str) -> dict[str, str]:
    """Cookies by name from a Cookie header (RFC 6265, 4.2.1).

    Leaves out oversized cookies, and those that come twice with different values: a neighbour of this host may have set
    one of them. `http.cookies` is no use here: it drops the whole header when one cookie, perhaps another app's on this
    host, is odd.
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
