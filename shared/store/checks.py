"""What every store does with an account before it writes it: text that can't be stored is mended, and what is too large
for this app is refused."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from shared.accounts import MOST_JSON_BYTES, Account, Failure
from shared.errors import RowRefused, RowTooLarge

_TEXTS = tuple(each.name for each in fields(Account) if each.type in (str, "str") and each.name != "account_id")


def mended(account: Account) -> Account:
    """The account with U+FFFD for each character that UTF-8 can't hold (an unpaired surrogate: JSON can spell one, so
    a token's claims may have it). Nearly always the same object.

    Raises:
        RowRefused: its account_id has such a character. Nobody else may get that row.
    """
    texts = (account.account_id, *(getattr(account, name) for name in _TEXTS), *account.scopes)
    if all(text.isascii() or _is_storable(text) for text in texts) and _is_clean(account.failure):
        return account
    if not _is_storable(account.account_id):
        raise RowRefused("its account id is no text that can be stored")
    changes: dict[str, Any] = {name: _mend(getattr(account, name)) for name in _TEXTS}
    if account.failure:
        words: dict[str, Any] = {name: _mend(text) for name, text in _words(account.failure)}
        changes["failure"] = replace(account.failure, **words)
    return replace(account, scopes=tuple(_mend(scope) for scope in account.scopes), **changes)


def json_text(name: str, value: Mapping[str, Any]) -> str:
    """The JSON of `task_state` or `extra`, in ASCII.

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


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_clean(failure: Failure | None) -> bool:
    return failure is None or all(text.isascii() or _is_storable(text) for _, text in _words(failure))


def _words(failure: Failure) -> list[tuple[str, str]]:
    return [(name, getattr(failure, name)) for name in ("code", "suberror", "correlation_id", "claims")]


def _mend(text: str) -> str:
    """Two halves that belong together become one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
