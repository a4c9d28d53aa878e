"""Rows with keys of the first edition, which escaped with `%`: found by filter, and moved to their new key on sight.

The service can't address a key with `%` by URL, but in a filter and in a transaction it can (see rows.py), so a row is
found by the one and moved by the other. Only plain OpenID subjects with a character that is escaped have another key
than before; an Entra account's id has none.
"""

import hashlib
import logging
from contextlib import suppress
from urllib.parse import quote

from shared.accounts import slot_of
from shared.errors import Conflict
from shared.store.tables import wire
from shared.store.tables.rows import LONGEST_KEY, row_key
from shared.store.tables.service import ACCOUNTS, Tables, equals

_FORBIDDEN = frozenset('/\\#?%"')
_OF_THE_SERVICE = ("Timestamp", "odata.etag")

logger = logging.getLogger(__name__)


def first_key(account_id: str) -> str:
    """The RowKey that the first edition gave this account."""
    key = "".join(quote(each, safe="") if _is_forbidden(each) else each for each in account_id)
    if len(key.encode("utf-16-le")) // 2 > LONGEST_KEY:
        return hashlib.sha256(account_id.encode()).hexdigest()
    return key


def may_have_another_key(account_id: str) -> bool:
    """Had this account another key in the first edition?"""
    return first_key(account_id) != row_key(account_id)


def bring_over(tables: Tables, account_id: str) -> bool:
    """Moves the account's row to its new key if it is stored under the old one; returns whether it was. Costs nothing
    for an account whose key is the same in both editions. Raises StoreUnavailable."""
    if not may_have_another_key(account_id):
        return False
    query = f"{equals('PartitionKey', slot_of(account_id))} and {equals('RowKey', first_key(account_id))}"
    pages = tables.call(
        "read account", lambda: list(wire.pages(tables.accounts, query, wire.decoded, top=1)), key=account_id
    )
    rows = [row for page in pages for row in page if row.get("AccountId") == account_id]
    for row in rows:
        with suppress(Conflict):  # somebody else moved it
            move(tables, row)
    return bool(rows)


def move(tables: Tables, row: wire.Row) -> wire.Row:
    """Inserts the row with its new key and deletes the old one, in one transaction; returns it with its new ETag.

    Raises:
        Conflict: the row changed, vanished, or was moved by somebody else. StoreUnavailable.
    """
    entity = {name: value for name, value in row.items() if name not in _OF_THE_SERVICE}
    entity["RowKey"] = row_key(row["AccountId"])
    old_keys = {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"]}
    parts = [
        wire.encode(tables.accounts, ("create", entity, {})),
        wire.encode(tables.accounts, ("delete", old_keys, {"etag": row["odata.etag"]})),
    ]
    etag, _ = tables.call("move account", lambda: wire.submit(tables.accounts, parts), key=row["AccountId"])
    logger.debug("a row of %s has its new key now", ACCOUNTS)
    return entity | {"odata.etag": etag}


def _is_forbidden(character: str) -> bool:
    return character in _FORBIDDEN or ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0
