"""The two-host campaign: a short one holds, its plan follows its seed, and its judge sees each broken promise."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.reliability import chaos_mutants
from tests.reliability.chaos import Outcome, conduct, table
from tests.reliability.chaos_evidence import Act, Evidence, Hint, Look, Message, Row, TokenRequest, Window, Write
from tests.reliability.chaos_judge import judge
from tests.reliability.chaos_plan import plan

ADA, SLOT = "ada.tenant", "03"
SINCE = "2026-11-20T11:31:19.123456"
ROW = Row(ADA, SLOT, "etag-1", "active", 10.0, 1.0, 8.0, "", "", False, ("t1",))
ASIDE = replace(ROW, state="needs_sign_in", failure="50173", failure_first_at=SINCE + "+00:00")
SIGNED_IN = Act("sign_in", ADA, 0, 0.5, 2.0, 303)
CODE = TokenRequest(1.5, 1.6, "authorization_code", "", "t1", ADA, 200, True, "")
REDEEMED = TokenRequest(5.0, 5.3, "refresh_token", "t1", "t2", "", 200, True, "")
AGAIN = TokenRequest(7.0, 7.3, "refresh_token", "t1", "", "", 400, True, "AADSTS70000: it was redeemed before")
LEASED = Write(4.9, 4.95, 0, ADA, "PATCH", {"LeaseOwner": "abc"}, (), True, True)
SET_ASIDE = {"State": "needs_sign_in", "FailureCode": "50173", "FailureFirstAt": SINCE + "Z"}
SAVED_ASIDE = Write(6.0, 6.1, 0, ADA, "PUT", SET_ASIDE, ("t1",), True, True)
REFUSED = TokenRequest(5.9, 5.95, "refresh_token", "t1", "", "", 400, True, "AADSTS50173")
TOLD = Message(6.2, 6.3, 0, "m1", ADA, SINCE + "+00:00", True)


def seen(*rows: Row, at: float = 12.0, hint: Hint | None = None) -> Look:
    """One look at the tables."""
    return Look(at, at + 0.1, {each.account: each for each in rows}, {SLOT: hint} if hint else {})


def evidence(**changes: object) -> Evidence:
    """Ada signed in, and her row was seen; nothing is wrong."""
    made = Evidence("strict", every=8, absent=3, tick=4, claim=90, begin=0.0, end=20.0)
    made.acts, made.requests, made.looks = [SIGNED_IN], [CODE], [seen(ROW)]
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def broken_in(found: Evidence) -> set[str]:
    """The first words of the invariants that did not hold."""
    return {" ".join(each.name.split()[:3]) for each in judge(found) if each.broken}


LATE = Hint("h1", 60.0, claimed=False)
BROKEN: dict[str, tuple[str, Callable[[], Evidence]]] = {
    "unswept": ("nobody unswept for", lambda: evidence(looks=[seen(ROW, at=300.0)])),
    "hint": ("no hint later", lambda: evidence(looks=[seen(ROW, at=at, hint=LATE) for at in (12.0, 15.0)])),
    "not refused": ("nobody set aside", lambda: evidence(writes=[SAVED_ASIDE], messages=[TOLD], queued=["m1"])),
    "lost": ("no row lost", lambda: evidence(looks=[seen()])),
    "back": (
        "no row lost",
        lambda: evidence(acts=[SIGNED_IN, Act("sign_out", ADA, 1, 9.0, 9.1, 303, SIGNED_IN)]),
    ),
    "older": (
        "no older sign-in",
        lambda: evidence(
            acts=[SIGNED_IN, Act("sign_in", ADA, 1, 4.0, 5.0, 303)],
            requests=[CODE, replace(CODE, at=4.5, done=4.6, given="t9")],
        ),
    ),
    "revoked": (
        "no family revoked,",
        lambda: evidence(requests=[CODE, REDEEMED, AGAIN], writes=[LEASED]),
    ),
    "told before": (
        "every loss notified,",
        lambda: evidence(
            requests=[CODE, REFUSED], writes=[SAVED_ASIDE], messages=[replace(TOLD, at=6.05)], queued=["m1"]
        ),
    ),
    "told twice": (
        "every loss notified,",
        lambda: evidence(
            requests=[CODE, REFUSED],
            writes=[SAVED_ASIDE],
            messages=[TOLD, replace(TOLD, at=9.0, done=9.1)],
            queued=["m1", "m1"],
        ),
    ),
    "never told": (
        "every loss notified,",
        lambda: evidence(requests=[CODE, REFUSED], writes=[SAVED_ASIDE], looks=[seen(ASIDE), seen(ASIDE, at=300.0)]),
    ),
    "500": ("no answer and", lambda: evidence(acts=[SIGNED_IN, Act("me", ADA, 0, 8.0, 8.1, 500)])),
    "secret": (
        "no secret in",
        lambda: evidence(logs={"host0": "INFO the code is s3cr3t-code"}, secrets={"s3cr3t-code"}),
    ),
}


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    """The scene of the other tests by itself holds."""
    assert broken_in(evidence()) == set()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_found(name: str) -> None:
    """Each by its own invariant, and by no other."""
    words, made = BROKEN[name]
    assert broken_in(made()) == {words}


@pytest.mark.parametrize(
    ("window", "first"),
    [
        (Window("kill", 5.2, 6.0, 0), REDEEMED),
        (Window("pause", 5.2, 6.5, 0), REDEEMED),
        (Window("storage", 0.1, 0.2, 0), replace(REDEEMED, whole=False, given="")),
        (Window("storage", 0.1, 0.2, 0), replace(REDEEMED, done=REDEEMED.at + 20.5)),
    ],
    ids=["kill", "pause", "answer lost", "answer too late"],
)
def test_a_documented_window_is_counted_and_not_broken(window: Window, first: TokenRequest) -> None:
    """A second redemption whose cause can be shown."""
    late = replace(AGAIN, at=first.done + 2, done=first.done + 2.3)
    found = evidence(requests=[CODE, first, late], writes=[LEASED], windows=[window])
    assert broken_in(found) == set()
    assert sum(next(each for each in judge(found) if "family" in each.name).windows.values()) == 1


@pytest.mark.parametrize(
    "window",
    [Window("kill", 5.2, 6.0, 1), Window("kill", 7.5, 8.0, 0), Window("storage", 5.0, 7.0, 0)],
    ids=["the other host", "afterwards", "storage that failed in a process that lives"],
)
def test_a_window_that_explains_nothing_excuses_nothing(window: Window) -> None:
    """Something happened, but not to the holder between redeeming and saving."""
    found = evidence(requests=[CODE, REDEEMED, AGAIN], writes=[LEASED], windows=[window])
    assert broken_in(found) == {"no family revoked,"}


def test_a_seed_gives_the_same_plan() -> None:
    """Twice the same steps; another seed gives others."""
    assert plan(7, 60, 12) == plan(7, 60, 12)
    assert plan(7, 60, 12) != plan(8, 60, 12)
    assert {step.what for step in plan(7, 600, 12)} >= {"me", "api", "sign_in", "sign_out", "timer", "queue"}
    assert {step.what for step in plan(7, 600, 12)} >= {"kill", "pause", "storage", "tenant", "challenge", "refuse"}


@pytest.mark.parametrize("name", sorted(chaos_mutants.MUTANTS))
def test_every_mutant_finds_its_guard(name: str, tmp_path: Path) -> None:
    """The code that it takes out still looks as it expects; else the mutant would be none."""
    changed = chaos_mutants.changed_copy(name, tmp_path / "tree")
    compile((changed / chaos_mutants.MUTANTS[name].file).read_text("utf-8"), name, "exec")


def test_the_table_adds_up_seeds_by_rotation() -> None:
    """One column per rotation; a cell says how many of how many did not hold, and which windows there were."""
    held, lost = evidence(), evidence(looks=[seen()])
    outcomes = [
        Outcome(1, "strict", 60.0, lost, judge(lost)),
        Outcome(2, "strict", 60.0, held, judge(held)),
        Outcome(1, "reusable", 60.0, held, judge(held)),
    ]
    lines = table(outcomes).splitlines()
    assert lines[0] == "| | strict | reusable |"
    assert "| seeds | 1 to 2 | 1 to 1 |" in lines
    assert "| minutes | 2 | 1 |" in lines
    assert "| no row lost or back from the dead | 1 of 2 | 0 of 1 |" in lines


def test_a_short_campaign_holds() -> None:
    """Two hosts, strict rotation, twenty seconds: every promise is kept. CI's small share of the long campaigns."""
    outcome = conduct(3, 20, "strict", people=12, settle=4)
    assert not outcome.broken, "\n".join(outcome.lines())
    assert outcome.evidence.storage_faults > 0
