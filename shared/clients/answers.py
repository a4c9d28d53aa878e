"""Answers of HTTP servers, and why there is none. The errors are RequestExceptions, because MSAL knows these.

MSAL hides the status and Retry-After of an answer, and remembers 429 and 5xx by itself. So identity/msal_http_client.py
raises such answers as Throttled and Unavailable. MSAL lets them pass, or falls back on an access token that is still
valid (`_acquire_token_silent_from_cache_and_possibly_refresh_it`, msal/application.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from requests import RequestException


class Throttled(RequestException):
    """The endpoint answered 429.

    Attributes:
        after: seconds to wait.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"throttled for {retry_after:.0f} s")
        self.after = retry_after


class Unavailable(RequestException):
    """The endpoint failed, could not be reached, or gave an answer that can't be read.

    Attributes:
        reason: a word for logs: `http_503`, `timeout`, `connection`, `tls`, `unparsable`, or an OAuth error.
        unsent: is it certain that the endpoint got nothing, as there was no connection?
    """

    def __init__(self, reason: str, *, unsent: bool = False) -> None:
        super().__init__(f"unavailable: {reason}")
        self.reason = reason
        self.unsent = unsent


@dataclass(frozen=True)
class HttpAnswer:
    """A complete HTTP response, in the shape that MSAL expects of its `http_client`.

    Attributes:
        headers: names in lower case.
        content: the body, decompressed.
    """

    status_code: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @cached_property
    def text(self) -> str:
        """The body as UTF-8 text; other bytes are replaced."""
        return self.content.decode("utf-8", errors="replace")

    def raise_for_status(self) -> None:
        """Raises Unavailable for a status of 400 or more. MSAL calls this after discovery."""
        if self.status_code >= 400:
            raise Unavailable(f"http_{self.status_code}")


def json_object(answer: HttpAnswer) -> dict[str, Any]:
    """The body as a JSON object. Raises Unavailable when it is anything else."""
    try:
        value = json.loads(answer.content.decode())
    except (ValueError, RecursionError) as error:
        raise Unavailable("unparsable") from error
    if not isinstance(value, dict):
        raise Unavailable("unparsable")
    return value
