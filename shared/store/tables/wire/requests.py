"""Sends a request through the Tables SDK's client, without its serialization, and reads the service's errors."""

import json
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest, HttpResponse
from azure.data.tables import TableClient


def endpoint(table: TableClient) -> str:
    """The table service's address, without a slash at the end."""
    return str(table.url).partition("?")[0].rstrip("/")


def keys(partition: str, row: str) -> str:
    """A row's keys in a URL, with their parentheses. Raises UnicodeEncodeError for an unpaired surrogate."""
    first, second = (quote(each.replace("'", "''"), safe="") for each in (partition, row))
    return f"(PartitionKey='{first}',RowKey='{second}')"


def send(table: TableClient, request: HttpRequest, **options: Any) -> HttpResponse:
    """Sends the request; returns the answer with its content read, whatever its status.

    Args:
        options: of the SDK's policies, for this request.

    Raises:
        AzureError: there was no answer. The SDK repeats a GET then, but never a POST.
    """
    # The generated client beneath: `send_request` is its public method, but it has no public name on TableClient.
    # `stream`: else the pipeline decodes the content too, and refuses a type that it doesn't know.
    response: HttpResponse = table._client.send_request(request, stream=True, **options)
    response.read()
    return response


def refusal(answer: HttpResponse) -> HttpResponseError:
    """An error with the status and the service's code, for an answer that is not what was hoped for."""
    return with_code(HttpResponseError(response=answer), explain(answer.content)[0])


def with_code(error: HttpResponseError, code: str) -> HttpResponseError:
    """The error with the service's code where the SDK puts it; its classes don't declare it."""
    error.__dict__["error_code"] = code
    return error


def explain(body: bytes) -> tuple[str, str]:
    """Code and message of an error's JSON; empty when it is anything else."""
    try:
        error = json.loads(body)["odata.error"]
        return str(error["code"]), str(error["message"]["value"])
    except (ValueError, KeyError, TypeError):
        return "", ""
