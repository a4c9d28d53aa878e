"""Entity group transactions of our own making: the service, and the SDK that reads them back, see no difference."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.data.tables import (
    RequestTooLargeError,
    TableClient,
    TableServiceClient,
    TableTransactionError,
    UpdateMode,
)

from shared.clients.storage import CLIENT_OPTIONS
from shared.store.tables import wire
from shared.store.tables.wire import Operation
from tests.service_storage import ServiceShapedStorage

ROW: dict[str, Any] = {
    "PartitionKey": "0a",
    "RowKey": "o'neil+~ é@contoso",
    "Text": 'héllo "world"\r\n--batch',
    "Empty": "",
    "Number": 7,
    "Large": 2**40,
    "Truth": True,
    "Bytes": bytes(range(256)),
    "Time": datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC),
    "Elsewhere": datetime(2026, 5, 4, 3, 2, 1, tzinfo=timezone(timedelta(hours=2))),
    "Nothing": None,
}


def submit(table: TableClient, operations: list[Operation]) -> list[str]:
    """One transaction; the rows' ETags."""
    return wire.submit(table, [wire.encode(table, each) for each in operations])


@pytest.fixture(params=["azurite", "service"])
def table(request: pytest.FixtureRequest, tables: TableServiceClient) -> Iterator[TableClient]:
    """An empty table on plain Azurite, and on a storage that answers as the live service does."""
    made = tables.create_table("Rows")
    if request.param == "azurite":
        yield made
        return
    storage: ServiceShapedStorage = request.getfixturevalue("storage")
    with storage.client() as client:
        yield client.get_table_client("Rows")


def replaced(row: dict[str, Any], etag: str, mode: UpdateMode = UpdateMode.REPLACE) -> Operation:
    """An update of a row that is as `etag` says."""
    return "update", row, {"mode": mode, "etag": etag}


def test_a_row_is_stored_as_the_sdk_stores_it(table: TableClient) -> None:
    """Every type, and a key with everything that a key may hold."""
    submit(table, [("create", ROW, {})])
    ours = dict(table.get_entity(ROW["PartitionKey"], ROW["RowKey"]))
    table.upsert_entity({name: value for name, value in ROW.items() if name != "Large"} | {"Large": ours["Large"]})
    assert dict(table.get_entity(ROW["PartitionKey"], ROW["RowKey"])) == ours
    assert ours["Bytes"] == ROW["Bytes"]
    assert ours["Elsewhere"] == ROW["Elsewhere"]
    assert ours["Large"].value == ROW["Large"]


def test_etags_come_in_the_rows_order_and_are_those_of_the_rows(table: TableClient) -> None:
    """A hundred rows, the most a transaction takes."""
    rows = [{"PartitionKey": "p", "RowKey": f"{number:03}"} for number in range(100)]
    answers = submit(table, [("create", row, {}) for row in rows])
    stored = {row["RowKey"]: row.metadata["etag"] for row in table.list_entities()}
    assert answers == [stored[row["RowKey"]] for row in rows]


def test_replace_takes_the_rest_away_and_merge_leaves_it(table: TableClient) -> None:
    """PUT and PATCH."""
    row = {"PartitionKey": "p", "RowKey": "r"}
    [first] = submit(table, [("create", row | {"Old": 1}, {})])
    [second] = submit(table, [replaced(row | {"New": 2}, first, UpdateMode.MERGE)])
    assert dict(table.get_entity("p", "r")) == row | {"Old": 1, "New": 2}
    submit(table, [replaced(row | {"New": 3}, second)])
    assert dict(table.get_entity("p", "r")) == row | {"New": 3}


def test_a_refused_row_is_named_and_nothing_is_written(table: TableClient) -> None:
    """The second of three has another ETag by now."""
    rows = [{"PartitionKey": "p", "RowKey": name} for name in "abc"]
    etags = submit(table, [("create", row, {}) for row in rows])
    table.upsert_entity(rows[1] | {"Later": True})
    with pytest.raises(TableTransactionError) as refused:
        submit(table, [replaced(row | {"New": 1}, etag) for row, etag in zip(rows, etags, strict=True)])
    assert (refused.value.index, refused.value.status_code) == (1, 412)
    assert not any("New" in row for row in table.list_entities())


@pytest.mark.parametrize("key", ["plain", "a%2Fb", "a%252Fb", "100%", "o'neil+ é"])
def test_a_row_is_written_and_deleted_whatever_its_key(table: TableClient, key: str) -> None:
    """Also one with %, which no URL's path reaches on the live service."""
    row = {"PartitionKey": "p", "RowKey": key}
    others = [{"PartitionKey": "p", "RowKey": each} for each in ("a", "a%2F", "a%25252Fb")]
    [first, *_] = submit(table, [("create", each, {}) for each in (row, *others)])
    [second] = submit(table, [replaced(row | {"New": 1}, first)])
    with pytest.raises(TableTransactionError) as stale:
        submit(table, [("delete", row, {"etag": first})])
    assert stale.value.status_code == 412
    assert submit(table, [("delete", row, {"etag": second})]) == [""]
    with pytest.raises(TableTransactionError) as gone:
        submit(table, [("delete", row, {})])
    assert gone.value.status_code == 404
    assert sorted(each["RowKey"] for each in table.list_entities()) == ["a", "a%25252Fb", "a%2F"]


def test_a_missing_table_is_said(tables: TableServiceClient) -> None:
    """By its code, as the store looks for it."""
    with pytest.raises(HttpResponseError, match="TableNotFound") as missing:
        submit(tables.get_table_client("Nowhere"), [("create", ROW, {})])
    assert missing.value.status_code == 404


Answering = Callable[[int, str], TableClient]


@pytest.fixture
def answering() -> Iterator[Answering]:
    """A table service that gives one answer to everything: `answering(status, body)`."""
    servers: list[ThreadingHTTPServer] = []

    def answer(status: int, body: str) -> TableClient:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """The answer."""
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: Any) -> None:
                """Nothing to say."""

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{servers[-1].server_port}/account"
        text = f"AccountName=account;AccountKey=a2V5;TableEndpoint={endpoint};"
        return TableClient.from_connection_string(text, "Rows", **{**CLIENT_OPTIONS, "retry_total": 0})

    yield answer
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("body", ["", "nonsense", "--x\r\n\r\nHTTP/1.1 204 No Content\r\nETag: 1\r\n\r\n\r\n--x--"])
def test_an_answer_that_does_not_speak_of_every_row_is_an_error(answering: Answering, body: str) -> None:
    """Two rows were sent."""
    rows = [{"PartitionKey": "p", "RowKey": name} for name in "ab"]
    with pytest.raises(HttpResponseError, match=re.escape("can't be read")):
        submit(answering(202, body), [("create", row, {}) for row in rows])


@pytest.mark.parametrize("headers", ["", "Content-Type: application/json\r\nX: y\r\n"])
@pytest.mark.parametrize(
    ("message", "index"), [("7:The entity …", 7), ("The entity …", 0), ("0:The …", 0), ("12345:x", 0)]
)
def test_a_refusal_is_read_with_and_without_headers_and_number(
    answering: Answering, headers: str, message: str, index: int
) -> None:
    """Row 0 has no number on the live service."""
    error = f'{{"odata.error": {{"code": "EntityAlreadyExists", "message": {{"value": "{message}"}}}}}}'
    body = f"--b\r\n\r\n--c\r\n\r\nHTTP/1.1 409 Conflict\r\n{headers}\r\n{error}\r\n--c--\r\n--b--\r\n"
    with pytest.raises(TableTransactionError) as refused:
        submit(answering(202, body), [("create", ROW, {})])
    assert (refused.value.index, refused.value.status_code) == (index, 409)
    assert refused.value.__dict__["error_code"] == "EntityAlreadyExists"


def test_a_body_that_is_too_large_is_told_from_a_refused_row(answering: Answering) -> None:
    """413 for the whole request."""
    with pytest.raises(RequestTooLargeError):
        submit(answering(413, ""), [("create", ROW, {})])


def test_a_refused_signature_is_an_error_with_its_status(answering: Answering) -> None:
    """403 for the whole request, with the service's code."""
    body = '{"odata.error": {"code": "AuthenticationFailed", "message": {"lang": "en-US", "value": "no"}}}'
    with pytest.raises(HttpResponseError) as refused:
        submit(answering(403, body), [("create", ROW, {})])
    assert refused.value.status_code == 403
    assert refused.value.__dict__["error_code"] == "AuthenticationFailed"
