"""What a campaign does and when, drawn from its seed: the same seed gives the same plan."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

STATES = ("revoked", "expired", "require_mfa")
ANSWERS_LOST = ("reset_midway", "hang_midway", "truncated")
_CYCLE = 200.0  # seconds: storage and tenant fail in the first part of each cycle, and are calm in the rest
_STORM = 0.55
_PERSON_STEPS = {"me": 46, "api": 12, "sign_in": 14, "sign_out": 6, "challenge": 6, "refuse": 3, "timer": 7, "queue": 7}
_STORAGE = {
    "lost": 3,
    "500": 2,
    "500_committed": 2,
    "503": 3,
    "delay": 3,
    "long_delay": 1,
    "slow_hints": 3,
    "refused": 1,
}
_LIFETIMES = (200, 200, 302, 305, 312)  # of access tokens, in seconds: MSAL renews those with less than 300 left
_TENANT = {"slow": 4, "very_slow": 2, "throttle": 2, "503": 2, "lost": 2, "graph_503": 1}


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        at: seconds after the beginning.
        what: the kind; chaos.py has one method per kind.
        facts: its arguments.
    """

    at: float
    what: str
    facts: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        facts = " ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.at:8.2f} {self.what} {facts}"


def plan(seed: int, seconds: float, people: int, *, rate: float = 4.0) -> list[Step]:
    """All steps of a campaign, in order.

    Args:
        rate: steps of people per second.
    """
    chance = random.Random(seed)  # noqa: S311 - a plan, no secret
    steps = [*_people(chance, seconds, people, rate), *_hosts(chance, seconds), *_faults(chance, seconds, people)]
    return sorted(steps, key=lambda step: step.at)


def _people(chance: random.Random, seconds: float, people: int, rate: float) -> Iterator[Step]:
    at = 0.0
    while (at := at + chance.expovariate(rate)) < seconds:
        (what,) = chance.choices(list(_PERSON_STEPS), list(_PERSON_STEPS.values()))
        person: dict[str, Any] = {"person": chance.randrange(people)}
        host: dict[str, Any] = {"host": chance.randrange(2)}
        facts = {
            "me": {**person, **host, "times": chance.choice((1, 1, 2, 4))},  # so many at once
            "challenge": person,
            "refuse": {**person, "state": chance.choice(STATES)},
            "timer": host,
            "queue": {"slot": f"{chance.randrange(16):02x}"},
        }.get(what, {**person, **host, "alone": chance.random() < 0.8})  # else it may overlap another one of theirs
        yield Step(round(at, 2), what, facts)
        if what == "challenge":  # Graph refuses their tokens now, and they come back at once, on both hosts
            for _ in range(chance.randrange(1, 6)):
                soon = round(min(at + chance.uniform(0.02, 2.0), seconds), 2)
                yield Step(soon, "me", {**person, "host": chance.randrange(2), "times": 1})


def _hosts(chance: random.Random, seconds: float) -> Iterator[Step]:
    """Kills, and pauses of all lengths up to longer than a sweep's lease: as long as the campaign allows."""
    pauses = [each for each in (2.0, 6.0, 12.0, 35.0, 66.0) if each <= max(seconds / 2.5, 2.0)]
    longest_gap = min(45.0, 15 + seconds / 20)  # a claim of a dead sweep keeps its slot for a while
    at = chance.uniform(4, 10)
    while at < seconds:
        host = chance.randrange(2)
        if chance.random() < 0.6:
            down = round(chance.choice((0.5, 3.0, 8.0)), 2)
            yield Step(round(at, 2), "kill", {"host": host, "seconds": down})
            at += down
        else:
            length = chance.choice(pauses)
            yield Step(round(at, 2), "pause", {"host": host, "seconds": length})
            at += length * chance.choice((0.5, 1.0))  # half of them overlap what comes next
        at += chance.uniform(5, longest_gap)


def _rush(chance: random.Random, at: float, length: float, people: int, *, sweeping: int) -> Iterator[Step]:
    """Many sign in on one host while the other one sweeps."""
    for _ in range(round(length * 5)):
        facts = {"person": chance.randrange(people), "host": 1 - sweeping, "alone": True}
        yield Step(round(at + chance.uniform(0, length), 2), "sign_in", facts)
    for second in range(round(length)):
        yield Step(round(at + second, 2), "timer", {"host": sweeping})


def _faults(chance: random.Random, seconds: float, people: int) -> Iterator[Step]:
    yield Step(0.0, "lifetime", {"seconds": chance.choice(_LIFETIMES)})
    at = 3.0
    while at < seconds:
        if at % _CYCLE > _CYCLE * _STORM:
            at = (at // _CYCLE + 1) * _CYCLE
            continue
        length = round(chance.choice((2.0, 5.0, 9.0)), 2)
        if chance.random() < 0.6:
            (kind,) = chance.choices(list(_STORAGE), list(_STORAGE.values()))
            share = 1.0 if kind in ("refused", "slow_hints") else chance.choice((0.1, 0.3, 0.6))
            host = chance.choice((0, 1) if kind == "slow_hints" else (0, 1, 2))
            yield Step(round(at, 2), "storage", {"kind": kind, "host": host, "share": share, "seconds": length})
            if kind == "slow_hints":
                yield from _rush(chance, at, length, people, sweeping=host)
        else:
            (kind,) = chance.choices(list(_TENANT), list(_TENANT.values()))
            facts = {"kind": kind, "seconds": length}
            if kind == "lost":
                facts |= {"answer": chance.choice(ANSWERS_LOST), "times": chance.randrange(1, 3)}
            yield Step(round(at, 2), "tenant", facts)
        if chance.random() < 0.4:
            yield Step(round(at, 2), "lifetime", {"seconds": chance.choice(_LIFETIMES)})
        at += length * chance.choice((0.5, 1.0)) + chance.uniform(0.5, 5)
