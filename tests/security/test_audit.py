"""What `dev.py check` prints about advisories."""

import json
from collections.abc import Mapping

import pytest

from localdev.audit import judged

ADVISORY = {"id": "PYSEC-2026-1", "fix_versions": ["2.0"], "aliases": [], "description": "…"}


def output(*packages: Mapping[str, object]) -> str:
    """What pip-audit prints."""
    return json.dumps({"dependencies": list(packages), "fixes": []})


def test_an_advisory_fails_the_check_and_says_what_mends_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Package, version, advisory, mended version."""
    assert judged(output({"name": "x", "version": "1.0", "vulns": [ADVISORY]}), "") == 1
    assert "x 1.0: PYSEC-2026-1, mended in 2.0" in capsys.readouterr().out


def test_no_advisory_passes_and_says_how_many_were_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown package is named and not counted."""
    clean, unknown = {"name": "x", "version": "1.0", "vulns": []}, {"name": "y", "skip_reason": "not found"}
    assert judged(output(clean, unknown), "") == 0
    said = capsys.readouterr().out
    assert "nothing known about y" in said
    assert "0 advisories for 1 packages" in said


@pytest.mark.parametrize(
    ("said", "complaints", "reason"),
    [
        ("", "Traceback\nrequests.exceptions.ConnectionError: no route to host\n", "no route to host"),
        ("", "", "said nothing"),
        (output({"name": "y", "skip_reason": "not found"}), "", "knows none"),
    ],
)
def test_service_out_of_reach_is_a_skip_with_its_reason(
    said: str, complaints: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A skipped audit says why."""
    assert judged(said, complaints) == 0
    printed = capsys.readouterr().out
    assert "skipped" in printed
    assert reason in printed
