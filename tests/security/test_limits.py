"""A request over a limit is refused, and one at the limit is not."""

from collections.abc import Mapping

import azure.functions as func
import pytest

from shared.errors import TooLarge
from shared.web.limits import (
    LARGEST_BODY,
    LONGEST_COOKIES,
    LONGEST_URL,
    MOST_HEADER_BYTES,
    MOST_HEADERS,
    refuse_oversized,
)

BASE = "http://localhost/me?"


def request(*, url: str = BASE, headers: Mapping[str, str] | None = None, body: bytes = b"") -> func.HttpRequest:
    """A request as a handler gets it."""
    return func.HttpRequest("GET", url, headers=headers or {}, body=body)


def sizes(over: int) -> dict[str, func.HttpRequest]:
    """Requests that are over one limit each, by `over`; at the limit for 0."""
    return {
        "address": request(url=BASE + "x" * (LONGEST_URL - len(BASE) + over)),
        "count of headers": request(headers={f"h{number}": "" for number in range(MOST_HEADERS + over)}),
        "bytes of headers": request(headers={"name": "x" * (MOST_HEADER_BYTES - len("name") + over)}),
        "cookies": request(headers={"Cookie": "x" * (LONGEST_COOKIES + over)}),
        "body": request(body=b"x" * (LARGEST_BODY + over)),
    }


@pytest.mark.parametrize("what", sizes(0))
def test_request_over_a_limit_is_refused_and_one_at_the_limit_is_not(what: str) -> None:
    """One byte, or one header, decides."""
    refuse_oversized(sizes(0)[what])
    with pytest.raises(TooLarge):
        refuse_oversized(sizes(1)[what])


def test_names_of_headers_count_too() -> None:
    """Their bytes are read like those of the values."""
    with pytest.raises(TooLarge):
        refuse_oversized(request(headers={"x" * (MOST_HEADER_BYTES + 1): ""}))
