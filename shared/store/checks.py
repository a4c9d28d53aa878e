"""What every store does with an account before it writes it: text that can't be stored is mended, and what is too large
for this app is refused."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.accounts import MOST_JSON_BYTES, Account
from shared.errors import RowRefused, RowTooLarge

_TEXTS = ("username", "tenant_id", "object_id", "home_account_id", "session_generation", "time_zone", "enrolment_id")
_FAILURE_TEXTS = ("code", "suberror", "correlation_id", "claims")


def mended(account: Account) -> Account:
    """The account with U+FFFD for each character that UTF-8 can't hold (an unpaired surrogate: JSON can spell one, so
    a token's claims may have it). Nearly always the same object.

    Raises:
        RowRefused: `account_id` has such a character (mended, it would be somebody else's), or a property that must be
            a text is not one.
    """
    failure = account.failure
    texts = [account.account_id, *(getattr(account, name) for name in _TEXTS), *account.scopes]
    if failure:
        texts += [getattr(failure, name) for name in _FAILURE_TEXTS]
    try:
        "".join(texts).encode()
    except TypeError as error:
        raise RowRefused("a property that must be a text is not one") from error
    except UnicodeEncodeError:
        if _mend(account.account_id) != account.account_id:
            raise RowRefused("its account id cannot be stored as text") from None
        changes: dict[str, Any] = {name: _mend(getattr(account, name)) for name in _TEXTS}
        if failure:
            words: dict[str, Any] = {name: _mend(getattr(failure, name)) for name in _FAILURE_TEXTS}
            changes["failure"] = replace(failure, **words)
        return replace(account, scopes=tuple(_mend(scope) for scope in account.scopes), **changes)
    return account


def json_text(name: str, value: Mapping[str, Any]) -> str:
    """The JSON of `task_state`, `extra` or the tasks' statuses, in ASCII.

    Args:
        name: for whoever reads the error.

    Raises:
        RowTooLarge: it has more than MOST_JSON_BYTES. RowRefused: it is not JSON.
    """
    try:
        text = json.dumps(dict(value), separators=(",", ":"), sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise RowRefused(f"its {name} is not JSON ({type(error).__name__})") from error
    if len(text) > MOST_JSON_BYTES:
        raise RowTooLarge(name, len(text), MOST_JSON_BYTES)
    return text


def _mend(text: str) -> str:
    """Two halves that belong together become one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
