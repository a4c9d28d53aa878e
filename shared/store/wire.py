"""Requests to the table service whose bodies are written and read here: through the Tables SDK's client, so that
connections, signing and retries are the SDK's, but without its generic serialisation, which took most of a sweep's CPU.
"""

import json

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest, HttpResponse
from azure.data.tables import TableClient


def endpoint(table: TableClient) -> str:
    """The table service's address, without a slash at the end."""
    return str(table.url).partition("?")[0].rstrip("/")


def sent(table: TableClient, request: HttpRequest) -> HttpResponse:
    """The answer, whatever its status, with its content read. Raises AzureError when there is none."""
    # The generated client beneath: `send_request` is its public method, but it has no public name on TableClient.
    # `stream`: else the pipeline decodes the content too, and refuses a type that it doesn't know.
    response: HttpResponse = table._client.send_request(request, stream=True)
    response.read()
    return response


def refusal(answer: HttpResponse) -> HttpResponseError:
    """An error with the status and the service's code, for an answer that is not what was hoped for."""
    return with_code(HttpResponseError(response=answer), explained(answer.content)[0])


def with_code(error: HttpResponseError, code: str) -> HttpResponseError:
    """Notes the service's code where the SDK notes it; its classes don't declare it."""
    error.__dict__["error_code"] = code
    return error


def explained(body: bytes) -> tuple[str, str]:
    """Code and message of an error's JSON; empty when it is anything else."""
    try:
        error = json.loads(body)["odata.error"]
        return str(error["code"]), str(error["message"]["value"])
    except (ValueError, KeyError, TypeError):
        return "", ""
