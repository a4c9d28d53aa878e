"""Queries read straight from the service's JSON: all rows, page by page, with the SDK's values."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableClient, TableServiceClient

from shared.store.tables.wire import decoded, pages
from tests.service_storage import ServiceShapedStorage

T = TypeVar("T")

ROW: dict[str, Any] = {
    "Text": 'héllo "world"',
    "Empty": "",
    "Number": 7,
    "Truth": True,
    "Bytes": bytes(range(256)),
    "Time": datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC),
}


@pytest.fixture(params=["azurite", "service"])
def table(request: pytest.FixtureRequest, tables: TableServiceClient) -> Iterator[TableClient]:
    """Five rows in one partition, one in another; on plain Azurite, and on a storage that answers as the live service
    does."""
    table = tables.create_table("Rows")
    table.submit_transaction(
        [("create", ROW | {"PartitionKey": "p", "RowKey": f"é {number}+%"}) for number in range(5)]
    )
    table.create_entity(ROW | {"PartitionKey": "q", "RowKey": "other"})
    if request.param == "azurite":
        yield table
        return
    storage: ServiceShapedStorage = request.getfixturevalue("storage")
    with storage.client() as client:
        yield client.get_table_client("Rows")


def full(found: Iterable[list[T]]) -> list[list[T]]:
    """The pages that have something on them: empty ones may come in between."""
    return [page for page in found if page]


def test_all_pages_are_followed(table: TableClient) -> None:
    """Keys that must be escaped come back as the place to go on from."""
    found = full(pages(table, "PartitionKey eq 'p'", decoded, top=2))
    assert [len(page) for page in found] == [2, 2, 1]
    assert sorted(row["RowKey"] for page in found for row in page) == [f"é {number}+%" for number in range(5)]


def test_a_row_reads_as_the_sdk_reads_it(table: TableClient) -> None:
    """Every type, and the ETag."""
    [[row]] = full(pages(table, "PartitionKey eq 'q'", decoded, top=5))
    known = table.get_entity("q", "other")
    values = row
    assert values.pop("odata.etag") == known.metadata["etag"]
    values.pop("Timestamp")
    assert values == dict(known)


def test_only_what_was_selected_comes_back(table: TableClient) -> None:
    """Times still as times; what the row lacks is absent, and never None."""
    [[row]] = full(pages(table, "PartitionKey eq 'q'", decoded, top=5, select="Time,Nothing"))
    assert {name: value for name, value in row.items() if "odata" not in name} == {"Time": ROW["Time"]}


def test_nothing_found_is_one_empty_page(table: TableClient) -> None:
    """So that a first page can always be asked for."""
    first, *others = pages(table, "PartitionKey eq 'nobody'", decoded, top=5)
    assert (first, full(others)) == ([], [])


def test_a_missing_table_is_said(tables: TableServiceClient) -> None:
    """By its code, as the store looks for it."""
    with pytest.raises(HttpResponseError) as missing:
        list(pages(tables.get_table_client("Nowhere"), "PartitionKey eq 'p'", decoded, top=5))
    assert (missing.value.status_code, missing.value.__dict__["error_code"]) == (404, "TableNotFound")
