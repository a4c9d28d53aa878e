"""A service-shaped storage: a proxy between the SDK and Azurite that answers as Azure's live Table service does, where
the two differ.

What it does, and where each was seen:

- A selected property that a row lacks is `null`; Azurite leaves it out (Azure/Azurite issue 2535, with both answers).
  Row and entity answers keep their `odata.etag` under `$select` (azure-sdk-for-python, recording
  test_table_entity.test_query_entities_with_select).
- The error of a refused transaction begins with the row's number and a colon, but for row 0 with neither
  (azure-sdk-for-net, recording BatchError: `3:The specified entity already exists`; azure-sdk-for-python, recording
  test_table_batch.test_batch_update_if_doesnt_match: `The update condition …`). Azurite always writes the number.
- `Timestamp` has up to seven digits of a second, other times lose zeros at their end (the same recordings:
  `34.7905688Z`, `1973-10-04T00:00:00Z`).
- A query may answer with an empty page and a continuation (Microsoft Learn, "Query timeout and pagination"). Here every
  page is preceded by an empty one.
- A URL's path is percent-decoded twice; a query string and the body of a transaction are not ("PartitionKey or RowKey
  containing the percent '%' character causes some Windows Azure Tables APIs to fail", Microsoft's Azure Storage team
  blog, 28 May 2012). Azurite decodes once.
- A write may be committed although its answer is 500 or lost, and 503 ServerBusy comes with or without Retry-After:
  `add(forward=True, status=500)`, `add(status=503, retry_after="…")`.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from localdev.azurite import ACCOUNT, ACCOUNT_KEY
from tests.reliability.storage_proxy import Answer, Request, StorageProxy

_AFTER_EMPTY = "after-an-empty-page!"
_ZEROS = re.compile(r"(\.\d*?)0+Z$")


class ServiceShapedStorage(StorageProxy):
    """Azurite, answering as the live service does."""

    def answer_itself(self, request: Request, ask: Callable[[Request], Answer]) -> Answer | None:
        """An empty page before each page of rows."""
        _, _, text = request.target.partition("?")
        query = dict(parse_qsl(text))
        place = query.get("NextPartitionKey", "")
        if request.method != "GET" or not request.path.endswith("()") or place.startswith(_AFTER_EMPTY):
            return None
        answer = ask(request)
        if answer.status != 200:  # a missing table is said at once
            return answer
        headers = [
            ("Content-Type", "application/json;odata=minimalmetadata;streaming=true;charset=utf-8"),
            ("x-ms-continuation-NextPartitionKey", _AFTER_EMPTY + place),
        ]
        if "NextRowKey" in query:
            headers.append(("x-ms-continuation-NextRowKey", query["NextRowKey"]))
        return Answer(200, headers, b'{"value":[]}')

    def understood(self, request: Request) -> Request:
        """Without what `answer_itself` put there; and with the path decoded twice."""
        path, mark, text = request.target.partition("?")
        query = dict(parse_qsl(text, keep_blank_values=True))
        place = query.get("NextPartitionKey", "")
        if place.startswith(_AFTER_EMPTY):
            query["NextPartitionKey"] = place.removeprefix(_AFTER_EMPTY)
            text = urlencode({name: value for name, value in query.items() if value or name != "NextPartitionKey"})
        twice = quote(unquote(unquote(path)), safe="/(),='$~")
        if unquote(twice) != unquote(path):
            request = replace(request, headers=request.headers | {"Authorization": _signature(request, twice)})
            path = twice
        return replace(request, target=path + mark + text)

    def shaped(self, request: Request, answer: Answer) -> Answer:
        """Nulls, digits, and the message of a refused transaction."""
        if request.path.endswith("/$batch"):
            return replace(answer, body=answer.body.replace(b'"value":"0:', b'"value":"'))
        if request.method != "GET" or answer.status != 200 or request.path.startswith("/Tables"):
            return answer
        content = json.loads(answer.body)
        selected = dict(parse_qsl(request.target.partition("?")[2])).get("$select", "")
        rows = content.get("value") if request.path.endswith("()") else [content]
        for row in rows or []:
            _shape(row, [name.strip() for name in selected.split(",") if name])
        return replace(answer, body=json.dumps(content).encode())


def _shape(row: dict[str, Any], selected: list[str]) -> None:
    for name in selected:
        row.setdefault(name, None)
    for name, value in list(row.items()):
        if row.get(f"{name}@odata.type") == "Edm.DateTime":
            row[name] = _ZEROS.sub(r"\1Z", value).replace(".Z", "Z")


def _signature(request: Request, path: str) -> str:
    """Shared Key for the Table service: "Authorize with Shared Key" (Microsoft Learn)."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    signed = [request.method, headers.get("content-md5", ""), headers.get("content-type", ""), headers["x-ms-date"]]
    text = "\n".join([*signed, f"/{ACCOUNT}{path}"])
    digest = hmac.new(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()
    return f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
