"""Entity group transactions, written and read here: the Tables SDK makes each row an e-mail message and parses it
again, half a millisecond of CPU a row and most of what a sweep cost (docs/performance.md). This takes a tenth.

Connections, signing and retries are still the SDK's. Formats: Microsoft Learn, "Performing entity group transactions",
"Payload format for Table service operations".
"""

import base64
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest, HttpResponse
from azure.data.tables import RequestTooLargeError, TableClient, TableTransactionError, UpdateMode

from shared.store import wire

Operation = tuple[str, Mapping[str, Any], Mapping[str, Any]]
"""As for `TableClient.submit_transaction`: `create`, or `update` with `mode` and `etag`; the entity; these options."""

_METHODS = {UpdateMode.REPLACE: "PUT", UpdateMode.MERGE: "PATCH"}
_LARGEST_INT32 = 2**31 - 1
_PART = re.compile(rb"HTTP/1\.1 (\d{3})[^\r\n]*\r\n(.*?)\r\n\r\n(.*?)(?=\r\n--|\Z)", re.DOTALL)
_ETAG = re.compile(rb"^etag: *([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


def submit(table: TableClient, operations: Sequence[Operation]) -> list[dict[str, str]]:
    """All or nothing; gives each row's `etag`, in order.

    Raises:
        RequestTooLargeError: the service takes no body of this size.
        TableTransactionError: a row was refused, the one at `index`; nothing was written.
        HttpResponseError: the transaction as a whole was refused. AzureError: no answer.
    """
    batch, changeset = f"batch_{secrets.token_hex(16)}", f"changeset_{secrets.token_hex(16)}"
    url = wire.endpoint(table)
    body = _body(f"{url}/{table.table_name}", operations, batch, changeset)
    answer = wire.sent(table, HttpRequest("POST", f"{url}/$batch", headers=_headers(table, batch), content=body))
    etags = _etags(answer)
    if len(etags) != len(operations):
        raise HttpResponseError(message="the transaction's answer can't be read")
    return etags


def _body(url: str, operations: Sequence[Operation], batch: str, changeset: str) -> bytes:
    mark = f"--{changeset}\r\n".encode()
    chunks = [f"--{batch}\r\nContent-Type: multipart/mixed; boundary={changeset}\r\n\r\n".encode()]
    for operation in operations:
        chunks += (mark, _part(url, *operation))
    chunks.append(f"--{changeset}--\r\n\r\n--{batch}--\r\n".encode())
    return b"".join(chunks)  # once: it may have megabytes


def _headers(table: TableClient, batch: str) -> dict[str, str]:
    return {
        "Content-Type": f"multipart/mixed; boundary={batch}",
        "Accept": "application/json",
        "DataServiceVersion": "3.0",
        "MaxDataServiceVersion": "3.0;NetFx",
        "x-ms-version": table.api_version,
    }


def _part(url: str, kind: str, entity: Mapping[str, Any], options: Mapping[str, Any]) -> bytes:
    content = json.dumps(_properties(entity))
    if kind == "create":
        line, condition = f"POST {url}", "Prefer: return-no-content\r\n"
    else:
        keys = f"PartitionKey='{_key(entity['PartitionKey'])}',RowKey='{_key(entity['RowKey'])}'"
        line, condition = f"{_METHODS[options['mode']]} {url}({keys})", f"If-Match: {options['etag']}\r\n"
    return (
        "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"{line} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        f"Accept: application/json;odata=minimalmetadata\r\nDataServiceVersion: 3.0\r\n{condition}\r\n"
        f"{content}\r\n"
    ).encode("ascii")


def _key(value: str) -> str:
    return quote(value.replace("'", "''"), safe="")


def _properties(entity: Mapping[str, Any]) -> dict[str, Any]:
    """With the types that JSON has not (as `odata.type`); None is left out, as the service has no null."""
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


def _etags(answer: HttpResponse) -> list[dict[str, str]]:
    if answer.status_code == 413:
        raise RequestTooLargeError(message="the transaction is too large", response=answer)
    if answer.status_code != 202:
        raise wire.refusal(answer)
    etags = []
    for status, headers, body in _PART.findall(answer.content):
        if not status.startswith(b"2"):
            raise _refused(int(status), body)
        etag = _ETAG.search(headers)
        etags.append({"etag": etag[1].decode().strip() if etag else ""})
    return etags


def _refused(status: int, body: bytes) -> HttpResponseError:
    """The one part that a refused transaction answers with; its message begins with the row's number."""
    if status == 413:
        return RequestTooLargeError(message="the transaction is too large")
    code, message = wire.explained(body)
    number = re.match(r"(\d+):", message)
    error = TableTransactionError(message=f"{status} {code}", index=int(number[1]) if number else 0)
    error.status_code = status
    return wire.with_code(error, code)
