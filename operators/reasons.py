"""Why an account has trouble, in words for an operator."""

from shared.accounts import Outcome, State
from shared.error_codes import explain
from shared.store import AccountSummary

_OUTCOME_OF = {
    State.ACTIVE: Outcome.UNAVAILABLE,
    State.NEEDS_SIGN_IN: Outcome.SIGN_IN_REQUIRED,
    State.UNREADABLE: Outcome.UNREADABLE,
}


def reason_of(account: AccountSummary) -> str:
    """One sentence; "" when nothing is wrong. A person who must sign in again reads the same sentence."""
    if account.failure is None:
        return ""
    return explain(account.failure.code, outcome=_OUTCOME_OF[account.state]).happened
