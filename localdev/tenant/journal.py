"""What the tenant has done: counts for the control API, and every secret that it issued, for leak tests."""

from collections import Counter, deque
from typing import Any

_TOTALS = (
    "sign_ins",
    "codes_issued",
    "codes_redeemed",
    "refresh_tokens_redeemed",
    "device_codes_redeemed",
    "passwords_redeemed",
    "on_behalf_of_redeemed",
    "mails_sent",
    "refused",
    "families_revoked",
    "faults",
    "token_requests",
)
KEPT = 1000


class Journal:
    """Counts in total, by person, and by Graph path and call (method and path).

    `too_early` counts Graph requests during a throttling that had already refused one. Use `keep_secrets=False` in a
    long-lived tenant: secrets add up.
    """

    def __init__(self, *, keep_secrets: bool = True) -> None:
        self._keep_secrets = keep_secrets
        self._secrets: set[str] = set()
        self.clear()

    def clear(self) -> None:
        """Resets the counts. The secrets stay known, because they may still be in use."""
        self._totals: Counter[str] = Counter()
        self._by_person: dict[str, Counter[str]] = {}
        self._graph: dict[str, Counter[str]] = {
            name: Counter() for name in ("by_path", "by_call", "by_status", "by_person")
        }
        self._graph_seconds = 0.0
        self._throttled = self._too_early = 0
        self._tokens: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._refusals: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._in_flight = self._peak = 0

    def count(self, what: str, username: str | None = None) -> None:
        """Counts one more of `what`, also for this person if known."""
        self._totals[what] += 1
        if username:
            self._by_person.setdefault(username, Counter())[what] += 1

    def refused(self, code: int, grant: str, username: str | None, *, at: float) -> None:
        """Counts a refusal by the token endpoint."""
        self.count("refused", username)
        self._refusals.append({"code": code, "grant": grant, "username": username, "at": at})

    def issued(self, kind: str, secret: str, **facts: Any) -> str:
        """Remembers that `secret` was issued (kinds: code, access_token, …) and returns it."""
        self.secret(secret)
        self._tokens.append({"kind": kind, **facts})
        return secret

    def secret(self, secret: str) -> None:
        """Remembers a secret that is no token."""
        if self._keep_secrets:
            self._secrets.add(secret)

    def secrets(self) -> set[str]:
        """Every secret so far."""
        return set(self._secrets)

    def graph(self, path: str, status: int, seconds: float, username: str | None, *, method: str = "GET") -> None:
        """Counts an answer of Graph."""
        self._graph["by_path"][path] += 1
        self._graph["by_call"][f"{method} {path}"] += 1
        self._graph["by_status"][str(status)] += 1
        self._graph["by_person"][username or "nobody"] += 1
        self._graph_seconds += seconds

    def throttled(self, *, again: bool) -> None:
        """Counts a request that Graph throttled; `again`: the same throttling had refused one before."""
        self._throttled += 1
        self._too_early += again

    def enter(self) -> None:
        """Notes that a token request begins."""
        self.count("token_requests")
        self._in_flight += 1
        self._peak = max(self._peak, self._in_flight)

    def leave(self) -> None:
        """Notes that a token request ends."""
        self._in_flight -= 1

    def report(self) -> dict[str, Any]:
        """Everything but the secrets, as JSON."""
        graph: dict[str, Any] = {name: dict(counts) for name, counts in self._graph.items()}
        graph |= {"requests": self._graph["by_path"].total(), "seconds": round(self._graph_seconds, 6)}
        graph |= {"throttled": self._throttled, "too_early": self._too_early}
        return {
            **{name: self._totals[name] for name in _TOTALS},
            "peak_token_requests": self._peak,
            "by_person": {username: dict(counts) for username, counts in self._by_person.items()},
            "graph": graph,
            "tokens": list(self._tokens),
            "refusals": list(self._refusals),
        }
