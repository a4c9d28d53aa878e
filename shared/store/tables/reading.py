"""A row as the service sent it: an account, or what is odd about it.

Whoever can write to the table, or another version of this app, may have written anything. Reading is total, so that one
row never hides another.
"""

import logging

from shared.accounts import Account
from shared.store.protocol import OddRow
from shared.store.tables import wire
from shared.store.tables.first_edition import first_key
from shared.store.tables.rows import OddValue, from_entity, row_key
from shared.store.tables.service import ACCOUNTS

_LONGEST_SHOWN_KEY = 200

logger = logging.getLogger(__name__)


def read(row: wire.Row) -> Account | OddRow:
    """The account in a row of which all properties were read, or those in rows.PROPERTIES. Raises nothing.

    A row is its account's under the key of either edition, in its account's slot.
    """
    slot, key, etag = (str(row.get(name, "")) for name in ("PartitionKey", "RowKey", "odata.etag"))
    try:
        account = from_entity(wire.decoded(row), etag)
        if slot == account.slot and key in (row_key(account.account_id), first_key(account.account_id)):
            return account
        reason = "its keys are not those of its AccountId"
    except OddValue as error:
        reason = str(error)
    # A key that UTF-8 can't hold couldn't be shown. Nothing can address it either.
    slot, key = (each.encode(errors="replace").decode() for each in (slot, key))
    return OddRow(slot=slot, key=key, reason=reason, etag=etag)


def log(row: OddRow) -> None:
    """Tells the operator, whose page at /accounts shows the row and can remove it."""
    place = f"{row.slot}/{row.key}"[:_LONGEST_SHOWN_KEY]
    logger.error("a row of %s makes no sense and is left out: %a, %s", ACCOUNTS, place, row.reason)
