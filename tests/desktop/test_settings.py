"""Settings of the desktop: by environment, options first; what is missing or malformed is exit code 2."""

from pathlib import Path

import pytest

from desktop.error_texts import ERROR_TEXTS
from desktop.failures import Failed
from desktop.settings import default_cache
from shared.error_codes import ERROR_CODES
from tests.desktop.desk import Desk


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DESKTOP_CLIENT_ID", "", "DESKTOP_CLIENT_ID is missing"),
        ("AUTHORITY", "", "AUTHORITY is missing"),
        ("AUTHORITY", "http://localhost/x", "malformed"),
        ("API_URL", "http://app.example", "malformed"),
        ("GRAPH_URL", "ftp://graph", "malformed"),
        ("API_SCOPE", "access_as_user", "API_SCOPE is missing or not in full"),
    ],
)
def test_a_setting_that_will_not_do_is_named(desk: Desk, name: str, value: str, words: str) -> None:
    """One line on stderr; tokens never go to a host without https that is not this machine."""
    desk.environ[name] = value
    ran = desk.run("me")
    assert ran.code == 2
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_options_win_before_and_after_the_command(desk: Desk) -> None:
    """Both places mean the same."""
    desk.environ["AUTHORITY"] = "https://localhost:9/x"
    assert desk.run("--authority", desk.tenant.authority, "accounts", "--json").json == {"accounts": []}
    assert desk.run("--json", "accounts", "--authority", desk.tenant.authority).json == {"accounts": []}


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"HOME": "/home/ada"}, "/home/ada/.local/state/understudy/tokens.bin"),
        ("linux", {"HOME": "/home/ada", "XDG_STATE_HOME": "/state"}, "/state/understudy/tokens.bin"),
        ("darwin", {"HOME": "/Users/ada"}, "/Users/ada/Library/Application Support/Understudy/tokens.bin"),
        ("win32", {"HOME": "/x", "LOCALAPPDATA": "/Local"}, "/Local/Understudy/tokens.bin"),
    ],
)
def test_the_cache_lies_in_the_users_own_folder(platform: str, environ: dict[str, str], expected: str) -> None:
    """Where each platform wants it; plain text has another name."""
    assert default_cache(environ, plain_text=False, platform=platform) == Path(expected)
    assert default_cache(environ, plain_text=True, platform=platform).name == "tokens.json"


@pytest.mark.parametrize(
    "code",
    [
        "65001", "50079", "50076", "50126", "50034", "90010", "70002", "7000218", "700016",
        "unknown_user_type", "user_realm_discovery_failed", "parsing_wstrust_response_failed",
        "accessing_ws_metadata_exchange_failed",
    ],
)  # fmt: skip
def test_every_code_of_the_desktop_guide_is_in_the_table(code: str) -> None:
    """One line: what happened, who can fix it, how."""
    meaning = {**ERROR_CODES, **ERROR_TEXTS}[code]
    line = Failed(code, reference="r-1").line()
    assert meaning.happened in line
    assert f"fix: {meaning.fixer}" in line
    assert "reference r-1" in line
    assert "\n" not in line


def test_help_is_no_failure(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0."""
    assert desk.run("--help").code == 0
    assert "login" in capsys.readouterr().out
    assert desk.run().code == 2
