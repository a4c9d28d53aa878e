"""Accounts to store."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.accounts import Account, Attempt, Choice, Failure, Lease, Outcome, Source, State, TaskFailure, TaskStatus

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def an_account(account_id: str = "oid.tid", **changes: object) -> Account:
    """An account with something in every property."""
    account = Account(
        account_id=account_id,
        username="ada@contoso.example",
        tenant_id="tid",
        object_id="oid",
        home_account_id="oid.home",
        source=Source.ON_BEHALF_OF,
        state=State.NEEDS_SIGN_IN,
        due_at=NOW,
        last_activity=NOW - timedelta(hours=1),
        last_swept_at=NOW - timedelta(minutes=1),
        token_expires_at=NOW + timedelta(hours=1),
        scopes=("User.Read", "Mail.Read"),
        failure=Failure(
            "50173", NOW, NOW, suberror="bad_token", correlation_id="c-1", count=3, notified_at=NOW, claims="{}"
        ),
        recent=(Attempt(NOW, Outcome.SIGN_IN_REQUIRED), Attempt(NOW - timedelta(hours=1), Outcome.FRESH)),
        tasks={
            "digest": TaskStatus(
                choice=Choice.ON,
                next_at=NOW + timedelta(minutes=3),
                occurrence=NOW,
                date="2026-03-01",
                done="2026-02-28",
                tries=2,
                waiting="consent",
                last_at=NOW - timedelta(days=1),
                last_record="Mailed 3 — “Ω”",
                failure=TaskFailure("graph_503", NOW - timedelta(minutes=6), NOW, 2),
            ),
            "sync": TaskStatus(),
        },
        task_state={"profile": {"digest": "x", "nested": [1, 2.5, None, True]}},
        extra={"department": "Ω", "n": 1},
        time_zone="Europe/Berlin",
        enrolment_id="e1",
        session_generation="g1",
        lease=Lease("me", NOW + timedelta(seconds=30)),
        cache_version=7,
        sealed_cache=os.urandom(200_000),
    )
    return replace(account, **changes)  # type: ignore[arg-type]
