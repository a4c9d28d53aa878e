"""dev.py task: one task for one sample person, now."""

import json

import pytest

from localdev import task_run
from shared.background import TaskContext, daily, task
from tasks import TASKS

DIGEST = next(each for each in TASKS if each.name == "morning_digest")


def test_a_dry_run_sends_nothing_and_prints_what_it_would_have_sent(capsys: pytest.CaptureFixture[str]) -> None:
    """The mail is there whole, with its body."""
    assert task_run.main(["morning_digest", "--as", "ben", "--dry-run"]) == 0
    lines = capsys.readouterr().out
    head, _, rest = lines.partition("\n")
    assert head == "would send: POST /me/sendMail once='mail'"
    mail, _ = json.JSONDecoder().raw_decode(rest)
    assert mail["message"]["toRecipients"] == [{"emailAddress": {"address": "ben@contoso.example"}}]
    assert "unread:" in mail["message"]["body"]["content"]
    assert "Mailed you a digest" in lines


def test_a_real_run_sends_and_prints_the_answers() -> None:
    """The task's own settings come from the environment."""
    lines = task_run.run(DIGEST, "ben@contoso.example", {"DIGEST_FOOTER": "Have a good day"}, dry_run=False)
    assert lines[0].startswith("202: POST /me/sendMail")
    assert "Have a good day" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["morning_digest", "--as", "nobody"], "dev.py task:"),
        (["profile_changes", "--as", "x@y.example"], "dev.py task:"),
    ],
)
def test_who_cannot_sign_in_is_told(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2: nothing ran."""
    assert task_run.main(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_task_that_is_wrong_is_told_before_anything_starts() -> None:
    """As when the app starts."""

    @task(title="T", purpose="P.", scopes={}, schedule=daily("25:00"))
    def odd(ctx: TaskContext) -> None:
        pass

    with pytest.raises(Exception, match="25:00"):
        task_run.run(odd, "ben@contoso.example", {}, dry_run=True)
