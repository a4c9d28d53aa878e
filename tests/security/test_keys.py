"""python3 dev.py keys new."""

import re
from datetime import UTC, datetime

import pytest

from localdev import keys
from shared.sealing import KeyRing


def test_new_key_is_an_entry_for_the_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """It is alone on stdout, its id has the date, and a key ring accepts it."""
    assert keys.main(["new"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    ring = KeyRing.parse(printed.strip())
    assert re.fullmatch(r"k\d{8}-[0-9a-f]{4}", next(iter(ring.keys)))


def test_keys_of_one_day_have_different_ids_and_values() -> None:
    """One ring can hold both."""
    now = datetime(2026, 11, 20, tzinfo=UTC)
    made = [keys.made(now) for _ in range(3)]
    assert all(each.startswith("k20261120-") for each in made)
    assert len(set(made)) == 3


def test_without_a_command_the_help_tells_how_to_rotate(capsys: pytest.CaptureFixture[str]) -> None:
    """The help prints nothing that looks like a key."""
    with pytest.raises(SystemExit):
        keys.main(["--help"])
    assert "ENCRYPTION_KEYS=<new>,<old>" in capsys.readouterr().out
