"""Microsoft's worker library with an app in it, one line of JSON per request: what its process runs.

It needs only the app's own packages and azure-functions-runtime. The parent's side is workers.py.
"""

import asyncio
import base64
import itertools
import json
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import azure_functions_runtime as library  # type: ignore[import-not-found]  # it has an environment of its own

from tests.runtime import messages
from tests.runtime.messages import ParameterBinding, RpcHttp, TypedData

_MICROSOFTS_OWN = ("azure.functions", "azure_functions_runtime")  # they go to Microsoft's log, not to the app's
_NO_TRACE = SimpleNamespace(trace_parent="", trace_state="", attributes={})
_NO_RETRY = SimpleNamespace(retry_count=0, max_retry_count=0, exception=None)


class Log(logging.Handler):
    """The records that the Functions host would take: of each, the worker says which invocation it belongs to.

    Workers look that id up in two ways: up to Python 3.12 in a thread-local variable (azure_functions_worker/
    dispatcher.py, `get_current_invocation_id`), from 3.13 on in a context variable (proxy_worker/dispatcher.py). A
    record arrives here when both name the invocation that is executing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.executing = ""
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, with its traceback, or drop it."""
        local = getattr(library.bindings.context._invocation_id_local, "invocation_id", None)
        if record.name.startswith(_MICROSOFTS_OWN):
            return
        if self.executing == local == library.invocation_id_cv.get():
            self.lines.append(self.format(record))


def main(folder: Path) -> None:
    """Indexes the app in `folder`, says which functions it has, and answers requests until its input ends."""
    # The library flushes what an app prints: the answers go where nobody prints.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asyncio.run(_serve(folder, answers))


async def _serve(folder: Path, answers: TextIO) -> None:
    sys.path.insert(0, str(folder))
    log = Log()
    handlers = [logging.StreamHandler(), log]
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", handlers=handlers)
    library.start_threadpool_executor()
    functions = await _index(folder)
    _say(answers, {name: {"binding": json.loads(_trigger(each)), "id": each.function_id} for name, each in functions})
    ids = {name: each.function_id for name, each in functions}
    numbers = itertools.count(1)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        log.executing, log.lines = str(next(numbers)), []
        answer = await _invoke(ids[request["function"]], request, log.executing)
        _say(answers, answer | {"log": log.lines})


async def _index(folder: Path) -> list[tuple[str, Any]]:
    init = SimpleNamespace(capabilities={}, function_app_directory=str(folder))
    properties = {"host": "127.0.0.1", "protos": messages}
    request = SimpleNamespace(request=SimpleNamespace(worker_init_request=init), properties=properties)
    answer = await library.worker_init_request(request)
    if answer.result.status != messages.StatusResult.Success:
        sys.exit(f"not indexed: {answer.result.exception.message}\n{answer.result.exception.stack_trace}")
    metadata = await library.functions_metadata_request(request)
    return [(each.name, each) for each in metadata.function_metadata_results]


async def _invoke(function_id: str, request: dict[str, Any], invocation_id: str) -> dict[str, Any]:
    invocation = SimpleNamespace(
        invocation_id=invocation_id,
        function_id=function_id,
        trace_context=_NO_TRACE,
        retry_context=_NO_RETRY,
        trigger_metadata={name: TypedData(string=text) for name, text in request.get("metadata", {}).items()},
        input_data=[ParameterBinding(request["parameter"], _data(request))],
    )
    wrapped = SimpleNamespace(request=SimpleNamespace(invocation_request=invocation), properties={"protos": messages})
    answer = await library.invocation_request(wrapped)
    if answer.result.status != messages.StatusResult.Success:
        return {"failed": answer.result.exception.message}
    return {"http": _http(answer.return_value.http)} if answer.return_value is not None else {}


def _data(request: dict[str, Any]) -> TypedData:
    if "http" not in request:
        return TypedData(**{request["kind"]: request["value"]})
    fields = request["http"]
    return TypedData(http=RpcHttp(**fields | {"body": TypedData(bytes=base64.b64decode(fields["body"]))}))


def _http(response: RpcHttp) -> dict[str, Any]:
    body = response.body.bytes if response.body else b""  # type: ignore[attr-defined]  # set by name
    return {
        "status": int(response.status_code),
        "headers": response.headers,
        "body": base64.b64encode(body).decode(),
        "cookies": [_cookie(each) for each in response.cookies or []],
    }


def _cookie(cookie: messages.RpcHttpCookie) -> dict[str, Any]:
    def value(nullable: messages.Nullable | None) -> Any:
        return nullable.value if nullable else None

    return {
        "name": cookie.name,
        "value": cookie.value,
        "path": value(cookie.path),
        "secure": bool(value(cookie.secure)),
        "http_only": bool(value(cookie.http_only)),
        "same_site": cookie.same_site,
        "max_age": value(cookie.max_age),
    }


def _trigger(function: Any) -> str:
    bindings: list[str] = [text for text in function.raw_bindings if "trigger" in json.loads(text)["type"].lower()]
    return bindings[0]


def _say(answers: TextIO, content: dict[str, Any]) -> None:
    answers.write(json.dumps(content) + "\n")
    answers.flush()
