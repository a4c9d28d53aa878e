"""How large a request may be. This app's requests are small; the Functions host alone would take 100 MB."""

import azure.functions as func

from shared.errors import TooLarge

LONGEST_URL = 16 * 1024
MOST_HEADERS = 100
MOST_HEADER_BYTES = 32 * 1024
LONGEST_COOKIES = 16 * 1024
LARGEST_BODY = 64 * 1024


def refuse_oversized(req: func.HttpRequest) -> None:
    """Raises TooLarge for a request over a limit. Call it before anything else reads the request."""
    headers = req.headers
    if len(req.url) > LONGEST_URL:
        raise TooLarge("The address is too long.")
    if len(headers) > MOST_HEADERS or sum(len(name) + len(headers[name]) for name in headers) > MOST_HEADER_BYTES:
        raise TooLarge("There are too many headers.")
    if len(headers.get("cookie", "")) > LONGEST_COOKIES:
        raise TooLarge("There are too many cookies. Delete the cookies of this site and start again.")
    if len(req.get_body()) > LARGEST_BODY:
        raise TooLarge("The body is too large.")
