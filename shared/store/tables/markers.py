"""The table Markers. PartitionKey: the account's slot. RowKey: the SHA-256 of the account id, and half of that of task,
occurrence and name. So all of a person's markers are one range of keys."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableServiceClient, UpdateMode

from shared.accounts import slot_of
from shared.errors import Conflict, StoreUnavailable
from shared.store.markers import KEPT, Marker
from shared.store.tables.service import entity_or_none, table_is_missing, time_literal, translated

MARKERS = "Markers"
_PER_TRANSACTION = 100
_PURGED_EVERY = timedelta(days=1)

T = TypeVar("T")

logger = logging.getLogger(__name__)


class TableMarkers:
    """`MarkerStore` on a table service.

    Args:
        service: a client of the storage account (made with CLIENT_OPTIONS).
    """

    def __init__(self, service: TableServiceClient) -> None:
        self._service = service
        self._table = service.get_table_client(MARKERS)
        self._purged: dict[str, datetime] = {}

    def insert(self, marker: Marker) -> Marker:
        """See MarkerStore."""
        keys = _keys(marker)
        entity = {
            **keys,
            "AccountId": marker.account_id,
            "Task": marker.task,
            "Occurrence": marker.occurrence,
            "Name": marker.name,
            "Owner": marker.owner,
            "MadeAt": marker.made_at,
        }
        try:
            self._call("write marker", lambda: self._table.create_entity(entity))
        except Conflict:
            found = self._call("read marker", lambda: entity_or_none(self._table, keys["PartitionKey"], keys["RowKey"]))
            if found is None:  # removed since; whoever wants it tries again
                raise StoreUnavailable("write marker", 409, "it was removed meanwhile") from None
            return _known(marker, found)
        return marker

    def finish(self, marker: Marker) -> None:
        """See MarkerStore."""
        entity = {**_keys(marker), "Status": marker.status, "AnswerId": marker.answer_id}
        self._call("finish marker", lambda: self._table.update_entity(entity, mode=UpdateMode.MERGE))
        self._purge_daily(slot_of(marker.account_id), marker.made_at)

    def remove(self, marker: Marker) -> None:
        """See MarkerStore."""
        keys = _keys(marker)
        self._call("remove marker", lambda: self._table.delete_entity(keys["PartitionKey"], keys["RowKey"]))

    def purge(self, slot: str, before: datetime) -> int:
        """See MarkerStore."""
        condition = f"PartitionKey eq '{slot}' and MadeAt lt {time_literal(before)}"

        def purge() -> int:
            count = 0
            pages = self._table.query_entities(
                condition, select=["PartitionKey", "RowKey"], results_per_page=_PER_TRANSACTION
            ).by_page()
            for page in pages:
                if rows := list(page):
                    self._table.submit_transaction([("delete", row) for row in rows])
                    count += len(rows)
            return count

        return self._call("purge markers", purge)

    def _purge_daily(self, slot: str, now: datetime) -> None:
        """Purges the slot of a marker, if this process has not done that in the last day. So slots without markers cost
        nothing."""
        last = self._purged.get(slot)
        if last is None or now - last >= _PURGED_EVERY:
            self._purged[slot] = now
            if count := self.purge(slot, now - KEPT):
                logger.info("%d old markers were removed from slot %s", count, slot)

    def _call(self, name: str, operation: Callable[[], T]) -> T:
        """Runs `operation`, once more when the table wasn't there yet. Raises StoreUnavailable, Conflict."""
        with translated(name):
            try:
                return operation()
            except HttpResponseError as error:
                if not table_is_missing(error):
                    raise
            self._service.create_table_if_not_exists(MARKERS)
            return operation()


def _keys(marker: Marker) -> dict[str, str]:
    person = hashlib.sha256(marker.account_id.encode()).hexdigest()
    effect = hashlib.sha256("\0".join(marker.key[1:]).encode()).hexdigest()[:32]
    return {"PartitionKey": slot_of(marker.account_id), "RowKey": person + effect}


def _known(marker: Marker, found: dict[str, Any]) -> Marker:
    status, made_at = found.get("Status"), found.get("MadeAt")
    return replace(
        marker,
        owner=str(found.get("Owner", "")),
        made_at=made_at if isinstance(made_at, datetime) else marker.made_at,
        status=status if isinstance(status, int) else None,
        answer_id=str(found.get("AnswerId") or ""),
    )
