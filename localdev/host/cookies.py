"""Set-Cookie as Azure sends it: the worker parses it with Python's SimpleCookie, the host writes it with ASP.NET Core.

What SimpleCookie can't parse is lost before it gets here. The empty `domain=` and `path=` are what the host sends.
"""

from collections.abc import Iterator
from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime
from http.cookies import Morsel, SimpleCookie
from urllib.parse import quote

_SAME_SITE = ("lax", "strict", "none")


def header_values(cookies: list[SimpleCookie]) -> Iterator[str]:
    """One Set-Cookie value per cookie.

    Raises:
        ValueError: The worker or the host can't read a date or an age; the request then ends with a 500.
    """
    for jar in cookies:
        for name, morsel in jar.items():
            yield "; ".join(_parts(name, morsel))


def _parts(name: str, morsel: "Morsel[str]") -> Iterator[str]:
    # quote() keeps letters, digits and -._~ and so does .NET's Uri.EscapeDataString.
    yield f"{name}={quote(morsel.value, safe='')}"
    if morsel["expires"]:
        moment = parsedate_to_datetime(morsel["expires"])
        expires = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        yield f"expires={format_datetime(expires, usegmt=True)}"
    if morsel["max-age"]:
        seconds = int(float(morsel["max-age"]))
        if seconds < 0:
            raise ValueError(f"max-age={morsel['max-age']}: the host can't write a negative age")
        yield f"max-age={seconds}"
    yield f"domain={morsel['domain']}"
    yield f"path={morsel['path']}"
    if morsel["secure"]:
        yield "secure"
    if str(morsel["samesite"]).lower() in _SAME_SITE:
        yield f"samesite={str(morsel['samesite']).lower()}"
    if morsel["httponly"]:
        yield "httponly"
