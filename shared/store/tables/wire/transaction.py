"""Entity group transactions: up to 100 rows of one partition, all or nothing.

Formats: Microsoft Learn, "Performing entity group transactions", "Payload format for Table service operations".
"""

import base64
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest, HttpResponse
from azure.data.tables import RequestTooLargeError, TableClient, TableTransactionError, UpdateMode

from shared.store.tables.wire import requests

Operation = tuple[str, Mapping[str, Any], Mapping[str, Any]]
"""As for `TableClient.submit_transaction`: `create`; `upsert`, which replaces whatever is there; `update` with
`mode` and `etag`; `delete` with `etag` (or none: whatever is there). The entity; these options."""

Part = bytes
"""An operation, ready to be sent."""

_METHODS = {UpdateMode.REPLACE: "PUT", UpdateMode.MERGE: "PATCH"}
_LARGEST_INT32 = 2**31 - 1
_STATUS = re.compile(rb"^HTTP/1\.1 (\d{3})", re.MULTILINE)
_ETAG = re.compile(rb"^etag: *([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
_INDEX = re.compile(r"(\d{1,3}):")


def encode(table: TableClient, operation: Operation) -> Part:
    """One row's part of a transaction.

    Raises:
        TypeError, ValueError: the entity holds something that JSON or a key can't hold.
    """
    kind, entity, options = operation
    url = f"{requests.endpoint(table)}/{table.table_name}"
    keys = requests.keys(entity["PartitionKey"], entity["RowKey"])
    content = "" if kind == "delete" else json.dumps(_properties(entity))
    body = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    if kind == "create":
        line, headers = f"POST {url}", f"{body}Prefer: return-no-content\r\n"
    elif kind == "delete":
        line, headers = f"DELETE {url}{keys}", f"If-Match: {options.get('etag') or '*'}\r\n"
    elif kind == "upsert":  # "Insert Or Replace Entity": an update without If-Match
        line, headers = f"PUT {url}{keys}", body
    else:
        line, headers = f"{_METHODS[options['mode']]} {url}{keys}", f"{body}If-Match: {options['etag']}\r\n"
    return (
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"{line} HTTP/1.1\r\n{headers}"
        "Accept: application/json;odata=minimalmetadata\r\nDataServiceVersion: 3.0\r\n\r\n"
        f"{content}\r\n"
    ).encode("ascii")


def submit(table: TableClient, parts: Sequence[Part], **options: Any) -> list[str]:
    """Sends one transaction, all or nothing; returns one ETag per part, in order ("" where the answer has none).

    Args:
        options: of the SDK's policies, for this request: `retry_total=0` sends it once.

    Raises:
        RequestTooLargeError: the service takes no body of this size.
        TableTransactionError: the part at `index` was refused and nothing was written. As with the SDK, `index` is 0
            also when the service named none.
        HttpResponseError: the transaction as a whole was refused; without a status: its answer can't be read, and it
            may have been committed.
        AzureError: no answer; it may have been committed.
    """
    batch, changeset = f"batch_{secrets.token_hex(16)}", f"changeset_{secrets.token_hex(16)}"
    headers = {
        "Content-Type": f"multipart/mixed; boundary={batch}",
        "Accept": "application/json",
        "DataServiceVersion": "3.0",
        "MaxDataServiceVersion": "3.0;NetFx",
        "x-ms-version": table.api_version,
    }
    mark = f"--{changeset}\r\n".encode()
    chunks = [f"--{batch}\r\nContent-Type: multipart/mixed; boundary={changeset}\r\n\r\n".encode()]
    for part in parts:
        chunks += (mark, part)
    chunks.append(f"--{changeset}--\r\n\r\n--{batch}--\r\n".encode())
    body = b"".join(chunks)  # once: it may have megabytes
    url = f"{requests.endpoint(table)}/$batch"
    etags = _etags(requests.send(table, HttpRequest("POST", url, headers=headers, content=body), **options))
    if len(etags) != len(parts):
        raise HttpResponseError(message="the transaction's answer can't be read")
    return etags


def _properties(entity: Mapping[str, Any]) -> dict[str, Any]:
    """The properties as JSON, with an `odata.type` for each type that JSON lacks. None is left out: the service has no
    null."""
    encoded: dict[str, Any] = {}
    for name, value in entity.items():
        kind, text = _typed(value)
        if kind:
            encoded[f"{name}@odata.type"] = kind
        if text is not None:
            encoded[name] = text
    return encoded


def _typed(value: Any) -> tuple[str, Any]:
    if isinstance(value, datetime):
        return "Edm.DateTime", value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, bytes):
        return "Edm.Binary", base64.b64encode(value).decode()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_INT32:
        return "Edm.Int64", str(value)
    return "", value


def _etags(answer: HttpResponse) -> list[str]:
    if answer.status_code == 413:
        raise RequestTooLargeError(message="the transaction is too large", response=answer)
    if answer.status_code != 202:
        raise requests.refusal(answer)
    _, *rest = _STATUS.split(answer.content)
    etags = []
    for status, part in zip(rest[::2], rest[1::2], strict=True):
        if not status.startswith(b"2"):
            raise _refused(int(status), part)
        etag = _ETAG.search(part)
        etags.append(etag[1].decode().strip() if etag else "")
    return etags


def _refused(status: int, part: bytes) -> HttpResponseError:
    """The one part that a refused transaction answers with. Its message begins with the row's number and a colon; for
    row 0 the service leaves both out."""
    if status == 413:
        too_large = RequestTooLargeError(message="the transaction is too large")
        too_large.status_code = status
        return too_large
    code, message = requests.explain(part[part.find(b"{") : part.rfind(b"}") + 1])
    number = _INDEX.match(message)
    error = TableTransactionError(message=f"{status} {code}", index=int(number[1]) if number else 0)
    error.status_code = status
    return requests.with_code(error, code)
