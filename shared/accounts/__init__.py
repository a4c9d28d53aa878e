"""Accounts and their lifecycle: plain data and pure functions. No I/O, no MSAL, no storage."""

from shared.accounts.lease import REDEMPTION, REQUEST_LEASE, SWEEP_LEASE, Lease, is_owned
from shared.accounts.model import (
    EPOCH,
    MOST_JSON_BYTES,
    SLOTS,
    Account,
    Attempt,
    Failure,
    Person,
    Source,
    State,
    all_slots,
    rebased,
    slot_of,
)
from shared.accounts.outcomes import Outcome, Verdict
from shared.accounts.task_status import LONGEST_RECORD, Choice, TaskFailure, TaskStatus

__all__ = [
    "EPOCH",
    "LONGEST_RECORD",
    "MOST_JSON_BYTES",
    "REDEMPTION",
    "REQUEST_LEASE",
    "SLOTS",
    "SWEEP_LEASE",
    "Account",
    "Attempt",
    "Choice",
    "Failure",
    "Lease",
    "Outcome",
    "Person",
    "Source",
    "State",
    "TaskFailure",
    "TaskStatus",
    "Verdict",
    "all_slots",
    "is_owned",
    "rebased",
    "slot_of",
]
