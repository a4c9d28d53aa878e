"""Accounts and their lifecycle: plain data and pure functions. No I/O, no MSAL, no storage."""

from shared.accounts.model import (
    EPOCH,
    MOST_JSON_BYTES,
    SLOTS,
    Account,
    Attempt,
    Failure,
    Lease,
    Person,
    Source,
    State,
    all_slots,
    rebased,
    slot_of,
)
from shared.accounts.outcomes import Outcome, Verdict

__all__ = [
    "EPOCH",
    "MOST_JSON_BYTES",
    "SLOTS",
    "Account",
    "Attempt",
    "Failure",
    "Lease",
    "Outcome",
    "Person",
    "Source",
    "State",
    "Verdict",
    "all_slots",
    "rebased",
    "slot_of",
]
