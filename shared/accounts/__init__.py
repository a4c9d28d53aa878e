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

__all__ = [
    "EPOCH",
    "MOST_JSON_BYTES",
    "REDEMPTION",
    "REQUEST_LEASE",
    "SLOTS",
    "SWEEP_LEASE",
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
    "is_owned",
    "rebased",
    "slot_of",
]
