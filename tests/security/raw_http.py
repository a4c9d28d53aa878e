"""HTTP without a client's rules: any Host, any header, no cookie jar."""

import http.client
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """A response; header names in lower case, repeated ones kept."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for given, value in self.headers if given == name.lower()]

    def one(self, name: str) -> str:
        """The value of a header that comes once, "" when it doesn't come."""
        values = self.all(name)
        assert len(values) < 2, f"{name} comes {len(values)} times"
        return values[0] if values else ""

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode("utf-8", "replace")

    def cookies(self) -> dict[str, str]:
        """Name and value of each cookie that is set, "" when it is deleted."""
        pairs = (value.split(";", 1)[0].partition("=") for value in self.all("set-cookie"))
        return {name: value for name, _, value in pairs}


def send(url: str, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Answer:
    """Sends one request to the app at `url`, on a new connection. `Host` is the app's unless `headers` name one."""
    place = urlsplit(url)
    assert place.hostname
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    sent = list(headers)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        if not any(name.lower() == "host" for name, _ in sent):
            connection.putheader("Host", place.netloc)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in sent:
            connection.putheader(name, value)
        connection.endheaders(body or None)
        response = connection.getresponse()
        received = tuple((name.lower(), value) for name, value in response.getheaders())
        return Answer(response.status, received, response.read())
    finally:
        connection.close()


def cookie_header(cookies: dict[str, str]) -> tuple[str, str]:
    """A Cookie header."""
    return "Cookie", "; ".join(f"{name}={value}" for name, value in cookies.items())
