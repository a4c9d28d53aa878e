"""Why somebody is not looked after as they should be, in words for an operator."""

from collections.abc import Mapping

from shared.accounts import State
from shared.error_codes import explain, known_codes
from shared.store import AccountSummary

_UNREADABLE: Mapping[str, str] = {
    "unknown_key": "Sealed with a key that is not in ENCRYPTION_KEYS.",
    "malformed": "What is stored is damaged.",
    "forged": "What is stored was changed, or was moved here from another row.",
    "token_cache": "What is stored is not a token cache.",
}


def reason_of(account: AccountSummary) -> str:
    """One sentence; "" when nothing is wrong. For somebody set aside it is what the person is told, too."""
    if account.failure is None:
        return ""
    code = account.failure.code
    if account.state is State.UNREADABLE:
        return _UNREADABLE.get(code, "What is stored can't be opened.")
    if account.state is State.NEEDS_SIGN_IN or code in known_codes():
        return explain(code).happened
    return "The last time failed; it is tried again."
