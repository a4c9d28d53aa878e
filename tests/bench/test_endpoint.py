"""The token endpoint of the benchmarks: what it answers, and what it counts."""

from collections.abc import Iterator

import pytest
import requests

from bench import tokens
from bench.far_end import FarEnd
from bench.figures import Figure, as_json, table

ADA, BEN = tokens.object_id(1), tokens.object_id(2)


@pytest.fixture(scope="module")
def far_end() -> Iterator[FarEnd]:
    """One endpoint; tests reset its counts."""
    with FarEnd() as running:
        yield running


def redeem(far_end: FarEnd, refresh_token: str) -> dict[str, str]:
    """A refresh, as MSAL sends it."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    answer = requests.post(f"{far_end.authority}/oauth2/v2.0/token", form, verify=far_end.ca_bundle)
    found: dict[str, str] = answer.json()
    return found


def test_the_answer_is_for_the_person_in_the_refresh_token(far_end: FarEnd) -> None:
    """Each refresh gives another refresh token of the same person."""
    first = tokens.refresh_token(ADA, 1001)
    answer = redeem(far_end, first)
    assert answer["refresh_token"].startswith(f"{ADA}.")
    assert answer["refresh_token"] != first
    assert answer["id_token"] == tokens.id_token(ADA)


def test_a_refresh_token_that_comes_twice_is_a_double_redemption(far_end: FarEnd) -> None:
    """A token is known by person and serial number."""
    far_end.reset(latency=0.0)
    for token in (tokens.refresh_token(ADA, 7), tokens.refresh_token(BEN, 7), tokens.refresh_token(ADA, 7)):
        redeem(far_end, token)
    counts = far_end.counts()
    assert (counts.redeemed, counts.people, counts.double_redemptions) == (3, 2, 1)


def test_the_ceiling_counts_every_answer(far_end: FarEnd) -> None:
    """The load generator sends as many requests as it reports."""
    rate, per_cpu_second = far_end.measure_ceiling(answers=130, connections=4)
    assert far_end.counts().redeemed == 130
    assert rate > 0
    assert per_cpu_second > 0


@pytest.mark.parametrize(
    ("target", "value", "met"), [(">= 50", 50, True), ("<= 1.4", 1.5, False), ("= 0", 0, True), ("", 1, None)]
)
def test_a_target_is_met_or_missed(target: str, value: float, met: bool | None) -> None:
    """A figure meets its target, misses it, or has none."""
    assert Figure("x.y", value, target=target).met is met


def test_a_missed_target_is_said_in_the_table() -> None:
    """The table marks the target, and JSON has the plain values."""
    figures = [Figure("x.good", 2, "x", ">= 1"), Figure("x.bad", 0.51234567, "x", ">= 1")]
    good, bad = table(figures).splitlines()[1:]
    assert good.endswith("met")
    assert bad.endswith("MISSED")
    assert as_json(figures) == '{"x.good": 2, "x.bad": 0.5123}'
