"""Set-Cookie, as it leaves Azure: parsed by Python's SimpleCookie in the worker, written by ASP.NET Core in the host.

What SimpleCookie can't parse has vanished before it comes here. The empty `domain=` and `path=` are really there.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http.cookies import Morsel, SimpleCookie
from urllib.parse import quote

_SAME_SITE = ("lax", "strict", "none")


def header_values(cookies: list[SimpleCookie]) -> Iterator[str]:
    """One Set-Cookie value for each cookie.

    Raises:
        ValueError: A date or age that the worker or the host can't read; the request then ends with a 500.
    """
    for jar in cookies:
        for name, morsel in jar.items():
            yield "; ".join(_parts(name, morsel))


def _parts(name: str, morsel: "Morsel[str]") -> Iterator[str]:
    # quote() keeps letters, digits and -._~ and so does .NET's Uri.EscapeDataString.
    yield f"{name}={quote(morsel.value, safe='')}"
    if morsel["expires"]:
        yield f"expires={format_datetime(_date(morsel['expires']), usegmt=True)}"
    if morsel["max-age"]:
        yield f"max-age={_age(morsel['max-age'])}"
    yield f"domain={morsel['domain']}"
    yield f"path={morsel['path']}"
    if morsel["secure"]:
        yield "secure"
    if str(morsel["samesite"]).lower() in _SAME_SITE:
        yield f"samesite={str(morsel['samesite']).lower()}"
    if morsel["httponly"]:
        yield "httponly"


def _date(text: str) -> datetime:
    moment = parsedate_to_datetime(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _age(text: str) -> int:
    seconds = int(float(text))
    if seconds < 0:
        raise ValueError(f"max-age={text}: the host can't write a negative age")
    return seconds
