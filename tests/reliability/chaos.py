"""Two hosts on one storage, kills, pauses, faults, and a judge outside: `python -m tests.reliability.chaos`.

    python3 -m tests.reliability.chaos --minutes 10 --seed 7 --rotation strict
    python3 -m tests.reliability.chaos --minutes 3 --campaign 10      ten seeds in both rotations, as a Markdown table
    python3 -m tests.reliability.chaos --minutes 3 --mutant no-etag   with one guard taken out of a copy of the app

The seed decides what is done and when (`--plan` prints it); how it interleaves is the machine's. The judge
(chaos_judge.py) looks at the tenant's log, the tables, what went over the hosts' roads to the storage, and the hosts'
logs. The exit status is 1 when something that docs/reliability.md promises did not hold.
"""

import argparse
import contextlib
import json
import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from localdev.browser import Browser
from localdev.tenant import CONTOSO, SignInRefused, Visitor
from localdev.tenant.people import make
from shared.store.slots import CLAIM
from tests.reliability import chaos_mutants
from tests.reliability.chaos_evidence import Act, Evidence, Look, TokenRequest, Window
from tests.reliability.chaos_judge import Finding, judge
from tests.reliability.chaos_plan import Step, plan
from tests.reliability.chaos_stage import ABSENT, EVERY, TICK, Host, Stage, staged
from tests.support import ROOT

_LOOK_SECONDS = 0.7
_THREADS = 96
_LATENCY = 0.3  # seconds of a token request, while nothing is wrong
PEOPLE = 24


@dataclass
class Somebody:
    """A person with one browser."""

    username: str
    account: str
    browser: Browser | None = None
    signed_in_by: Act | None = None
    has_device: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Campaign:
    """Does what the plan says, and gathers the evidence. One method per kind of step."""

    def __init__(self, stage: Stage, rotation: str, people: int) -> None:
        self._stage = stage
        self._people = [_somebody(number) for number in range(people)]
        self._acting = ThreadPoolExecutor(_THREADS)
        self._timers: list[threading.Timer] = []
        self._browsers: list[Browser] = []
        self._weather: dict[int, Window] = {}
        self._lock = threading.RLock()
        self._looking = threading.Event()
        names = {each.account: each.username.partition("@")[0] for each in self._people}
        claim = CLAIM.total_seconds()
        self.evidence = Evidence(rotation, every=EVERY, absent=ABSENT, tick=TICK, claim=claim, names=names)

    def run(self, steps: Sequence[Step], *, settle: float) -> Evidence:
        """Everybody signs in, the steps are done at their times, everything is mended, and the evidence is complete.

        Args:
            settle: at most so many seconds are waited at the end for people who are still due.
        """
        self._enrol()
        looking = threading.Thread(target=self._look_on)
        self.evidence.begin = begin = time.time()
        looking.start()
        for step in steps:
            time.sleep(max(begin + step.at - time.time(), 0))
            getattr(self, step.what)(**step.facts)
        self._mend()
        self._settle(settle)
        self._looking.set()
        looking.join()
        self._acting.shutdown(wait=True)
        for browser in self._browsers:
            browser.close()
        return self._complete()

    # People.

    def me(self, person: int, host: int, times: int = 1) -> None:
        """Opens the profile."""
        for _ in range(times):
            self._send(self._me, self._people[person], host)

    def api(self, person: int, host: int, alone: bool) -> None:
        """A desktop client calls the API."""
        self._send(self._api, self._people[person], host, alone=alone)

    def sign_in(self, person: int, host: int, alone: bool) -> None:
        """Signs in with a new browser."""
        self._send(self._sign_in, self._people[person], host, alone=alone)

    def sign_out(self, person: int, host: int, alone: bool) -> None:
        """Signs out."""
        self._send(self._sign_out, self._people[person], host, alone=alone)

    def challenge(self, person: int) -> None:
        """Graph refuses this person's present access tokens with a claims challenge."""
        self._tell("PATCH", f"people/{self._people[person].username}", {"state": "continuous_access"})

    def refuse(self, person: int, state: str) -> None:
        """The tenant wants to see this person."""
        self._tell("PATCH", f"people/{self._people[person].username}", {"state": state})

    # Sweeps.

    def timer(self, host: int) -> None:
        """Fires one host's timer, beside its schedule."""
        self._send(self._fire, None, host)

    def queue(self, slot: str) -> None:
        """Puts one slot on the queue."""
        self._acting.submit(self._stage.queue_slot, slot)

    # Hosts and faults.

    def kill(self, host: int, seconds: float) -> None:
        """SIGKILL; the host is started again after so many seconds."""
        target = self._stage.hosts[host]
        with self._lock:
            if target.state != "up":
                return
            target.kill()
            window = self._open("kill", host)
        self._later(seconds, lambda: self._start(target, window))

    def pause(self, host: int, seconds: float) -> None:
        """SIGSTOP and SIGCONT."""
        target = self._stage.hosts[host]
        with self._lock:
            if target.state != "up":
                return
            window = self._open("pause", host)
            target.pause()
        self._later(seconds, lambda: self._go_on(target, window))

    def storage(self, kind: str, host: int, share: float, seconds: float) -> None:
        """A share of the storage requests of one host, or of both (2), fail in this way."""
        for each in self._stage.hosts if host == 2 else (self._stage.hosts[host],):
            each.weather.set(kind, share)
            window = self._weather[each.number] = self._open("storage", each.number)
            self._later(seconds, lambda each=each, window=window: self._clear(each, window))

    def tenant(self, kind: str, seconds: float, answer: str = "", times: int = 1) -> None:
        """The tenant is slow, throttles, fails, or rotates and loses the answer."""
        window = self._open("tenant", None)
        only_refreshes = {"where": "token", "grant": "refresh_token"}
        if kind in ("slow", "very_slow"):
            self._tell("PATCH", "settings", {"latency": 1.5 if kind == "slow" else 6.0})
        elif kind == "throttle":
            self._tell("POST", "faults", only_refreshes | {"kind": "throttle", "retry_after": 3})
        elif kind == "503":
            self._tell("POST", "faults", only_refreshes | {"kind": "status", "status": 503})
        elif kind == "lost":
            self._tell("POST", "faults", only_refreshes | {"kind": answer, "times": times})
        else:
            self._tell("POST", "faults", {"where": "graph", "kind": "status", "status": 503})
        self._later(seconds, lambda: self._clear_tenant(window))

    def lifetime(self, seconds: float) -> None:
        """Access tokens from now on live so long. MSAL renews those with less than five minutes."""
        self._tell("PATCH", "settings", {"access_token_lifetime": seconds})

    # How it is done.

    def _send(self, act: Any, somebody: Somebody | None, host: int, *, alone: bool = False) -> None:
        self._acting.submit(self._act, act, somebody, host, alone)

    def _act(self, act: Any, somebody: Somebody | None, host: int, alone: bool) -> None:
        target = self._reachable(host)
        if target is None:
            return
        guard = somebody.lock if somebody and alone else contextlib.nullcontext()
        with guard:
            try:
                act(somebody, target) if somebody else act(target)
            except (requests.RequestException, SignInRefused):
                return  # a host was killed, or the tenant refuses this person's sign-in

    def _reachable(self, host: int) -> Host | None:
        """The host, or the other one while it is down, as a load balancer would choose. None when both are."""
        first, other = self._stage.hosts[host], self._stage.hosts[1 - host]
        return next((each for each in (first, other) if each.state in ("up", "paused")), None)

    @contextlib.contextmanager
    def _noted(self, what: str, somebody: Somebody, host: Host) -> Iterator[Act]:
        act = Act(what, somebody.account, host.number, time.time())
        with self._lock:
            self.evidence.acts.append(act)
        try:
            yield act
        finally:
            act.end = time.time()

    def _me(self, somebody: Somebody, host: Host) -> None:
        browser = somebody.browser
        if browser:
            with self._noted("me", somebody, host) as act:
                act.status = browser.get(f"{host.url}/me").status_code

    def _api(self, somebody: Somebody, host: Host) -> None:
        token = self._bearer_token(somebody)
        if token:
            with self._noted("api", somebody, host) as act, requests.Session() as http:
                http.trust_env = False
                headers = {"Authorization": f"Bearer {token}"}
                act.status = http.get(f"{host.url}/api/profile", headers=headers).status_code

    def _sign_in(self, somebody: Somebody, host: Host) -> None:
        browser = Browser(host.url)
        self._browsers.append(browser)
        with self._noted("sign_in", somebody, host) as act:
            callback = browser.to_callback(somebody.username)
            path = callback.partition("/signin/callback")[2]
            act.status = browser.get(f"{host.url}/signin/callback{path}").status_code
        if act.status == 303:
            somebody.browser, somebody.signed_in_by = browser, act
            with self._lock:
                self.evidence.secrets |= {each.value or "" for each in browser.http.cookies}

    def _sign_out(self, somebody: Somebody, host: Host) -> None:
        browser, by = somebody.browser, somebody.signed_in_by
        if browser:
            with self._noted("sign_out", somebody, host) as act:
                act.session_of = by
                origin = self._stage.hosts[0].url
                act.status = browser.post(f"{host.url}/signout", Origin=origin).status_code

    def _fire(self, host: Host) -> None:
        requests.post(f"{host.url}/admin/functions/sweep", json={"input": ""}).close()

    def _bearer_token(self, somebody: Somebody) -> str:
        """An access token for the app's API, by password; "" while the tenant gives none."""
        facts = self._stage.tenant.facts
        bundle = facts["settings"]["REQUESTS_CA_BUNDLE"]
        url = f"{facts['authority']}/oauth2/v2.0"
        client = {"client_id": facts["desktop_client_id"]}
        asked = client | {"scope": f"api://{facts['client_id']}/access_as_user openid"}
        with requests.Session() as http:
            http.trust_env = False
            http.verify = bundle
            if not somebody.has_device:
                flow = http.post(f"{url}/devicecode", asked).json()
                Visitor().allow_device(flow["verification_uri"], flow["user_code"], somebody.username)
                somebody.has_device = True  # and they have consented
            given = make(somebody.username, _name(somebody.username)).password
            form = asked | {"grant_type": "password", "username": somebody.username, "password": given}
            return str(http.post(f"{url}/token", form).json().get("access_token", ""))

    def _enrol(self) -> None:
        """Everybody signs in once."""
        self._tell("PATCH", "settings", {"latency": _LATENCY})
        for somebody in self._people:
            self._tell("POST", "people", {"username": somebody.username, "name": _name(somebody.username)})
        list(self._acting.map(lambda each: self._sign_in(each, self._stage.hosts[0]), self._people))

    def _tell(self, method: str, path: str, values: dict[str, Any]) -> None:
        self._stage.tenant.control(method, path, values)

    def _open(self, kind: str, host: int | None) -> Window:
        """Notes that something begins. It lasts for ever until `_close`."""
        window = Window(kind, time.time(), float("inf"), host)
        with self._lock:
            self.evidence.windows.append(window)
        return window

    def _close(self, window: Window) -> None:
        with self._lock:
            at = next(index for index, each in enumerate(self.evidence.windows) if each is window)
            self.evidence.windows[at] = Window(window.kind, window.begin, time.time(), window.host)

    def _later(self, seconds: float, do: Any) -> None:
        timer = threading.Timer(seconds, do)
        self._timers.append(timer)
        timer.start()

    def _start(self, host: Host, window: Window) -> None:
        host.start()
        host.wait_until_ready()
        self._close(window)  # from here on it may be killed again

    def _go_on(self, host: Host, window: Window) -> None:
        with self._lock:
            host.go_on()
        self._close(window)

    def _clear(self, host: Host, window: Window) -> None:
        if self._weather.get(host.number) is window:  # else other weather has come since
            host.weather.set("", 0)
        self._close(window)

    def _clear_tenant(self, window: Window) -> None:
        self._tell("DELETE", "faults", {})
        self._tell("PATCH", "settings", {"latency": _LATENCY})
        self._close(window)

    def _mend(self) -> None:
        """Returns when every window is closed."""
        for timer in self._timers:
            timer.join()

    def _look_on(self) -> None:
        """Looks at the tables again and again."""
        while not self._looking.wait(_LOOK_SECONDS):
            self.evidence.looks.append(self._stage.look())

    def _settle(self, seconds: float) -> None:
        """Waits until everybody who is due was swept, and has been told what they must be."""
        deadline, mended = time.time() + seconds, time.time()
        time.sleep(min(2 * TICK, seconds))
        while time.time() < deadline and _anybody_waits(self._stage.look(), mended):
            time.sleep(_LOOK_SECONDS)

    def _complete(self) -> Evidence:
        evidence, stage = self.evidence, self._stage
        evidence.looks.append(stage.look())
        evidence.end = time.time()
        evidence.queued = stage.take_notifications()
        for host in stage.hosts:
            evidence.writes += host.tables.all_writes()
            evidence.messages += host.queues.messages
            evidence.storage_requests += host.tables.count_of_requests
            evidence.storage_faults += host.weather.happened
            evidence.logs[f"host{host.number}"] = host.said()
        lines = stage.tenant.file.read_text("utf-8").splitlines()
        evidence.requests = [TokenRequest(**json.loads(line)) for line in lines]
        evidence.secrets |= stage.secrets | set(stage.tenant.secrets.read_text("utf-8").split())
        return evidence


def _anybody_waits(look: Look, since: float) -> bool:
    return any(
        row.due_at < look.begin
        or (row.state == "active" and max(row.last_swept_at, row.last_activity) < since)
        or (row.state == "needs_sign_in" and not row.notified)
        for row in look.rows.values()
    )


def _somebody(number: int) -> Somebody:
    person = make(f"person{number:02}@{CONTOSO.domain}", _name(f"person{number:02}"))
    return Somebody(person.username, f"{person.oids[CONTOSO.tid]}.{CONTOSO.tid}")


def _name(username: str) -> str:
    return f"{username.partition('@')[0].title()} Chaos"


@dataclass
class Outcome:
    """A campaign that is over."""

    seed: int
    rotation: str
    seconds: float
    evidence: Evidence
    findings: list[Finding]

    @property
    def broken(self) -> list[Finding]:
        """What did not hold."""
        return [each for each in self.findings if each.broken]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "seed": self.seed,
            "rotation": self.rotation,
            "seconds": round(self.seconds, 1),
            **counts(self.evidence),
            "invariants": {each.name: each.as_json() for each in self.findings},
        }

    def lines(self) -> list[str]:
        """The report."""
        said = " ".join(f"{name}={count}" for name, count in counts(self.evidence).items())
        first = f"seed {self.seed}, {self.rotation} rotation, {self.seconds:.0f} s: {said}"
        return [first, *(line for each in self.findings for line in each.lines())]


def counts(evidence: Evidence) -> dict[str, int]:
    """How much happened."""
    kinds = [each.kind for each in evidence.windows]
    return {
        "acts": len(evidence.acts),
        "redeemed": sum(each.rotated and each.grant == "refresh_token" for each in evidence.requests),
        "storage_requests": evidence.storage_requests,
        "storage_faults": evidence.storage_faults,
        "kills": kinds.count("kill"),
        "pauses": kinds.count("pause"),
        "tenant_faults": kinds.count("tenant"),
        "notifications": sum(each.committed is True for each in evidence.messages),
    }


def conduct(
    seed: int, seconds: float, rotation: str, *, people: int = PEOPLE, mutant: str = "", settle: float | None = None
) -> Outcome:
    """One campaign, from the first process to the verdict.

    Args:
        seconds: of the plan; starting and settling come on top.
        settle: see Campaign.run; by default as long as the promise lasts.
    """
    begin = time.monotonic()
    longest = EVERY + CLAIM.total_seconds() + 2 * TICK
    with tempfile.TemporaryDirectory(prefix="chaos-") as text:
        folder = Path(text)
        tree = chaos_mutants.changed_copy(mutant, folder / "tree") if mutant else ROOT
        with staged(seed, rotation, folder, tree=tree) as stage:
            campaign = Campaign(stage, rotation, people)
            evidence = campaign.run(plan(seed, seconds, people), settle=longest if settle is None else settle)
    return Outcome(seed, rotation, time.monotonic() - begin, evidence, judge(evidence))


def table(outcomes: Sequence[Outcome]) -> str:
    """The Markdown table of docs/reliability.md."""
    names = [each.name for each in outcomes[0].findings]
    rotations = list(dict.fromkeys(each.rotation for each in outcomes))
    lines = [f"| | {' | '.join(rotations)} |", "|---" * (len(rotations) + 1) + "|"]

    def row(name: str, cell: Any) -> str:
        cells = (cell([each for each in outcomes if each.rotation == rotation]) for rotation in rotations)
        return f"| {name} | {' | '.join(cells)} |"

    lines.append(row("seeds", lambda some: f"{min(e.seed for e in some)} to {max(e.seed for e in some)}"))
    lines.append(row("minutes", lambda some: f"{sum(each.seconds for each in some) / 60:.0f}"))
    lines += [
        row(name.replace("_", " "), lambda some, name=name: f"{sum(counts(e.evidence)[name] for e in some):,}")
        for name in counts(outcomes[0].evidence)
    ]
    lines += [
        row(name, lambda some, index=index: _cell([each.findings[index] for each in some]))
        for index, name in enumerate(names)
    ]
    return "\n".join(lines)


def _cell(findings: list[Finding]) -> str:
    windows: dict[str, int] = {}
    for each in findings:
        for name, count in each.windows.items():
            windows[name] = windows.get(name, 0) + count
    broken = sum(len(each.broken) for each in findings)
    checked = f"{broken} of {sum(each.checked for each in findings):,}"
    return checked + "".join(f"; {name}: {count}" for name, count in windows.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0 when everything held, 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="of each campaign; starting and settling on top")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rotation", choices=("strict", "reusable"), default="strict")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--settle", type=float, help="seconds; default: until everybody is swept, or had to be")
    parser.add_argument("--campaign", type=int, metavar="N", help="N seeds from --seed on, in both rotations")
    parser.add_argument("--mutant", choices=sorted(chaos_mutants.MUTANTS), default="")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the evidence (a pickle), for another look")
    parser.add_argument("--judge", type=Path, metavar="FILE", help="judge kept evidence once more and do nothing else")
    parser.add_argument("--plan", action="store_true", help="print the plan and do nothing")
    options = parser.parse_args(arguments)
    if options.plan:
        print(*plan(options.seed, options.minutes * 60, options.people), sep="\n")  # noqa: T201
        return 0
    if options.judge:
        evidence: Evidence = pickle.loads(options.judge.read_bytes())  # noqa: S301 - our own file
        again = Outcome(options.seed, evidence.rotation, evidence.end - evidence.begin, evidence, judge(evidence))
        print(*again.lines(), sep="\n")  # noqa: T201
        return int(bool(again.broken))
    seeds = range(options.seed, options.seed + (options.campaign or 1))
    rotations = ("strict", "reusable") if options.campaign else (options.rotation,)
    outcomes = []
    for rotation in rotations:
        for seed in seeds:
            outcome = conduct(
                seed,
                options.minutes * 60,
                rotation,
                people=options.people,
                mutant=options.mutant,
                settle=options.settle,
            )
            outcomes.append(outcome)
            if options.keep:
                options.keep.write_bytes(pickle.dumps(outcome.evidence))
            said = json.dumps(outcome.as_json()) if options.json else "\n".join(outcome.lines())
            print(said, flush=True, file=sys.stderr if options.campaign else sys.stdout)
    if options.campaign:
        print(table(outcomes))  # noqa: T201
    return int(any(each.broken for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
