"""Rows with keys of the first edition, which escaped with `%`: found by filter, and moved to their new key on sight.

The service can't address a key with `%` by URL, but in a filter and in a transaction it can (see rows.py), so a row is
found by the one and moved by the other. Only plain OpenID subjects with a character that is escaped have another key
than before; an Entra account's id has none.
"""

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from azure.data.tables import UpdateMode

from shared.accounts import EPOCH, slot_of
from shared.errors import Conflict, RowRefused, StoreUnavailable
from shared.store.tables import wire
from shared.store.tables.rows import LONGEST_KEY, row_key, time_or_none
from shared.store.tables.service import ACCOUNTS, Tables, equals, may_be_committed

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
    for an account whose key is the same in both editions.

    Raises:
        Conflict: the old row changed meanwhile and is still there. StoreUnavailable.
    """
    if not may_have_another_key(account_id):
        return False
    old = {"PartitionKey": slot_of(account_id), "RowKey": first_key(account_id), "AccountId": account_id}
    row = _read(tables, old)
    if row is None:
        return False
    move(tables, row)
    return True


def move(tables: Tables, row: wire.Row) -> wire.Row | None:
    """Inserts the row with its new key and deletes the old one, in one transaction.

    When both keys have a row (both editions are running), the one with the later activity stays, under the new key.

    Returns:
        The row with its new ETag. None when there was a row under the new key already.

    Raises:
        Conflict: one of the rows changed meanwhile; the old one is still there. StoreUnavailable.
    """
    entity = _of_the_app(row) | {"RowKey": row_key(row["AccountId"])}
    delete_old = wire.encode(tables.accounts, ("delete", _keys(row), {"etag": row["odata.etag"]}))
    insert = wire.encode(tables.accounts, ("create", entity, {}))
    try:
        etag = _submit(tables, [insert, delete_old], row["AccountId"])[0]
    except (Conflict, StoreUnavailable) as error:
        if isinstance(error, StoreUnavailable) and not may_be_committed(error):
            raise
        known = _read(tables, entity)
        if known is None:
            raise
        if _of_the_app(known) == entity and _read(tables, row) is None:
            return known  # it was moved, by us or by somebody else
        _keep_one(tables, row, known)
        return None
    logger.debug("a row of %s has its new key now", ACCOUNTS)
    return entity | {"odata.etag": etag}


def _keep_one(tables: Tables, old: wire.Row, new: wire.Row) -> None:
    """Deletes the old row, after its content took the place of the new one's if it is the newer. Raises what `move`
    raises."""
    parts = [wire.encode(tables.accounts, ("delete", _keys(old), {"etag": old["odata.etag"]}))]
    if _age(old) > _age(new):
        entity = _of_the_app(old) | _keys(new)
        unchanged = {"mode": UpdateMode.REPLACE, "etag": new["odata.etag"]}
        parts.insert(0, wire.encode(tables.accounts, ("update", entity, unchanged)))
    try:
        _submit(tables, parts, old["AccountId"])
    except (Conflict, StoreUnavailable):
        if _read(tables, old):
            raise


def _of_the_app(row: wire.Row) -> wire.Row:
    return {name: value for name, value in row.items() if name not in _OF_THE_SERVICE}


def _submit(tables: Tables, parts: list[wire.Part], account_id: str) -> list[str]:
    try:
        return tables.call("move account", lambda: wire.submit(tables.accounts, parts), key=account_id)
    except RowRefused as error:
        raise StoreUnavailable("move account", 400, error.reason) from error


def _read(tables: Tables, wanted: Mapping[str, Any]) -> wire.Row | None:
    """The row of this account with these keys."""
    partition, key, account_id = (str(wanted[name]) for name in ("PartitionKey", "RowKey", "AccountId"))
    query = f"{equals('PartitionKey', partition)} and {equals('RowKey', key)}"
    pages = tables.call(
        "read account", lambda: list(wire.pages(tables.accounts, query, wire.decoded, top=1)), key=account_id
    )
    return next((row for page in pages for row in page if row.get("AccountId") == account_id), None)


def _keys(row: wire.Row) -> wire.Row:
    return {name: row[name] for name in ("PartitionKey", "RowKey")}


def _age(row: wire.Row) -> tuple[datetime, int]:
    """Orders two rows of one account by their last activity. A sign-in is one. Rows of one origin that have the same
    activity differ in the count of their cache's writes."""
    version = row.get("CacheVersion")
    return time_or_none(row.get("LastActivity")) or EPOCH, version if isinstance(version, int) else 0


def _is_forbidden(character: str) -> bool:
    return character in _FORBIDDEN or ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0
