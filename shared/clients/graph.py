"""The only calls of Microsoft Graph."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from shared import telemetry
from shared.clients.answers import HttpAnswer, Unavailable, json_object
from shared.clients.http import HttpClient
from shared.clock import utc_now
from shared.errors import DeltaExpired, GraphError

T = TypeVar("T")

PROFILE_FIELDS = ("displayName", "givenName", "jobTitle", "mail", "userPrincipalName", "officeLocation")
_DELTA_LINKS = "@delta"  # where a task's state keeps them
_PAUSES = (1.0, 2.0)  # seconds before an idempotent call is repeated
_PASSING = (500, 502, 503, 504)
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Write:
    """A call that changes something.

    Attributes:
        path: the template, without the parameters' values.
        once: the marker's name, or "".
    """

    method: str
    path: str
    body: Any = field(repr=False)
    once: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to a write."""

    status: int
    body: dict[str, Any] = field(repr=False)
    request_id: str = ""


@dataclass
class Graph:
    """Microsoft Graph v1.0 for one person.

    A path is what follows /v1.0. `{name}` in it is filled, percent-encoded, from the keyword argument of this name.

    All methods raise GraphError when Graph refuses or can't be reached, and ValueError for a path that is none.

    Args:
        url: https://graph.microsoft.com, or a national cloud's ("National cloud deployments"); "" when this deployment
            has none: every call ends with `no_graph`.
        until: every call ends by then (a task's time limit).
        wait: sleeps for so many seconds. With it, calls that Graph throttles wait as long as it asks, if that fits into
            the time, and idempotent calls are repeated after a passing fault; without it, the first answer counts.
        renew: acquires a token that meets a claims challenge. A call that was challenged is sent again with it.
        links: where `delta` keeps its links.
        on_write: is asked to send each write: it calls the function that it gets, or not.
    """

    http: HttpClient
    url: str
    access_token: str = field(repr=False)
    until: datetime | None = None
    now: Callable[[], datetime] = utc_now
    wait: Callable[[float], None] | None = None
    renew: Callable[[str], str] | None = None
    links: MutableMapping[str, Any] | None = None
    on_write: Callable[[Write, Callable[[], Written]], dict[str, Any]] | None = None

    def me(self) -> dict[str, Any]:
        """Gets the person's profile: PROFILE_FIELDS."""
        return self.get("/me", {"$select": ",".join(PROFILE_FIELDS)})

    def photo(self) -> tuple[bytes, str] | None:
        """Gets the person's photo (48x48) and its media type; None when they have none."""
        try:
            answer = self._call("GET", self._url("/me/photos/48x48/$value", None, {}))
        except GraphError as error:
            if error.status == 404:
                return None
            raise
        return answer.content, answer.headers.get("content-type", "image/jpeg")

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **parameters: object,
    ) -> dict[str, Any]:
        """Gets a JSON resource."""
        return _object(self._call("GET", self._url(path, params, parameters), headers=headers))

    def pages(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **parameters: object,
    ) -> Iterator[dict[str, Any]]:
        """Yields the items of a collection, page by page ("Paging Microsoft Graph data in your app")."""
        for page in self._pages(self._url(path, params, parameters), headers):
            yield from page.get("value", ())

    def delta(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **parameters: object,
    ) -> Iterator[dict[str, Any]]:
        """Yields what changed since the last time; everything at first ("Use delta query to track changes").

        The link for the next time is kept in the task's state when all items were taken: whoever breaks off gets the
        same items again.

        Raises:
            DeltaExpired: the link is too old. It is dropped, and the next call begins anew.
        """
        if self.links is None:
            raise ValueError("delta needs a task's state to keep its link in")
        start = self._url(path, params, parameters)
        known: dict[str, str] = self.links.get(_DELTA_LINKS, {})
        page: dict[str, Any] = {}
        try:
            for page in self._pages(known.get(start, start), headers):
                yield from page.get("value", ())
        except GraphError as error:
            if error.status != 410:
                raise
            self.links[_DELTA_LINKS] = {each: link for each, link in known.items() if each != start}
            raise DeltaExpired(error.status, error.code, request_id=error.request_id) from error
        link = page.get("@odata.deltaLink")
        if isinstance(link, str):
            self.links[_DELTA_LINKS] = {**self.links.get(_DELTA_LINKS, {}), start: self._own(link)}

    def download(self, path: str, **parameters: object) -> bytes:
        """Gets content of up to 4 MiB. One redirect to an https address is followed, without the token ("Download a
        driveItem's content": its address is good for anybody, for a short time)."""
        answer = self._call("GET", self._url(path, None, parameters), redirects=True)
        if answer.status_code >= 300:
            target = answer.headers.get("location", "")
            if urlsplit(target).scheme != "https":
                raise GraphError(answer.status_code, "redirect")
            try:
                answer = self.http.request("GET", target, seconds=self._seconds_left(), repeatable=True)
            except Unavailable as error:
                raise GraphError(0, error.reason) from error
            if answer.status_code >= 300:
                raise GraphError(answer.status_code, "download")
        return answer.content

    def post(
        self,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        once: str = "",
        reads: bool = False,
        **parameters: object,
    ) -> dict[str, Any]:
        """Creates something, or does something. Returns the answer; {} when it has no content.

        It is sent again only when it certainly did nothing: no connection, 429, or 503 with Retry-After.

        Args:
            body: JSON, or bytes.
            once: sends at most once per occurrence of the task, by a marker of this name.
            reads: the call changes nothing (`/me/getSchedule`, for instance).
        """
        if reads:
            return _object(
                self._call("POST", self._url(path, None, parameters), body, headers=headers, repeatable=True)
            )
        return self._write("POST", path, body, headers, once, parameters)

    def patch(
        self,
        path: str,
        body: Any,
        *,
        headers: Mapping[str, str] | None = None,
        once: str = "",
        **parameters: object,
    ) -> dict[str, Any]:
        """Changes something. It is sent again as `post` is."""
        return self._write("PATCH", path, body, headers, once, parameters)

    def put(
        self,
        path: str,
        body: Any,
        *,
        headers: Mapping[str, str] | None = None,
        once: str = "",
        **parameters: object,
    ) -> dict[str, Any]:
        """Replaces something. It is repeated after a passing fault."""
        return self._write("PUT", path, body, headers, once, parameters)

    def delete(
        self, path: str, *, headers: Mapping[str, str] | None = None, once: str = "", **parameters: object
    ) -> None:
        """Deletes something. It is repeated after a passing fault; that it is gone then is success."""
        self._write("DELETE", path, None, headers, once, parameters)

    def _write(
        self,
        method: str,
        path: str,
        body: Any,
        headers: Mapping[str, str] | None,
        once: str,
        parameters: Mapping[str, object],
    ) -> dict[str, Any]:
        url = self._url(path, None, parameters)

        def send() -> Written:
            answer = self._call(method, url, body, headers=headers, repeatable=method in ("PUT", "DELETE"))
            content = _object(answer) if answer.content and method != "DELETE" else {}
            return Written(answer.status_code, content, answer.headers.get("request-id", "")[:64])

        if self.on_write:
            return self.on_write(Write(method, path, body, once), send)
        if once:
            raise ValueError("once= works in a task only")
        return send().body

    def _pages(self, url: str, headers: Mapping[str, str] | None) -> Iterator[dict[str, Any]]:
        while url:
            page = _object(self._call("GET", url, headers=headers))
            yield page
            link = page.get("@odata.nextLink")
            url = self._own(link) if isinstance(link, str) else ""

    def _url(self, path: str, params: Mapping[str, str] | None, parameters: Mapping[str, object]) -> str:
        """The address of a path. Raises ValueError for what is not a path, or lacks or does not take a parameter."""
        if not path.startswith("/") or path.startswith("//") or re.search(r"[\s\\#]", path):
            raise ValueError(f"{path[:80]!r} is not a path of Microsoft Graph: it begins with one /, after /v1.0")
        names = set(_PARAMETER.findall(path))
        if names != parameters.keys():
            raise ValueError(f"{path[:80]!r} takes the parameters {sorted(names)}, not {sorted(parameters)}")
        filled = _PARAMETER.sub(lambda found: quote(str(parameters[found[1]]), safe=""), path)
        return f"{self.url}/v1.0{filled}" + (f"?{urlencode(params, safe='$,')}" if params else "")

    def _own(self, link: str) -> str:
        """A link of an answer. Raises GraphError when it leads to another host: the token is for Graph alone."""
        found, own = urlsplit(link), urlsplit(self.url)
        if (found.scheme, found.netloc) != (own.scheme, own.netloc):
            raise GraphError(0, "foreign_link")
        return link

    def _call(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        redirects: bool = False,
    ) -> HttpAnswer:
        """Sends a call, again if that is safe and Graph was only busy. Returns an answer below 300, or with `redirects`
        below 400. Raises GraphError."""
        if not self.url:
            raise GraphError(0, "no_graph", did_nothing=True)
        repeatable = method == "GET" if repeatable is None else repeatable
        pauses, was_repeated, may_have_acted = list(_PAUSES), False, False
        while True:
            try:
                return self._attempt(method, url, body, headers or {}, repeatable=repeatable, redirects=redirects)
            except GraphError as error:
                if method == "DELETE" and error.status == 404 and was_repeated:
                    return HttpAnswer(204, {}, b"")
                may_have_acted = may_have_acted or not error.did_nothing
                pause = self._pause_before_repeating(error, pauses, repeatable=repeatable)
                if pause is None or self.wait is None:
                    error.did_nothing = not may_have_acted
                    raise
            self.wait(pause)
            was_repeated = True

    def _attempt(
        self,
        method: str,
        url: str,
        body: Any,
        headers: Mapping[str, str],
        *,
        repeatable: bool,
        redirects: bool,
        challenged: bool = False,
    ) -> HttpAnswer:
        """Sends a call once, and once more after a claims challenge. Raises GraphError."""
        is_json = not isinstance(body, bytes | None)
        try:
            answer = self.http.request(
                method,
                url,
                headers={
                    "Authorization": f"Bearer {self.access_token}",
                    "Accept": "application/json",
                    "Content-Type": "application/json" if is_json else None,
                    **telemetry.outgoing(),
                    **headers,
                },
                body=json.dumps(body).encode() if is_json else body,
                seconds=self._seconds_left(),
                repeatable=repeatable and method != "DELETE",  # what a repeat doesn't find has been deleted
            )
        except Unavailable as error:
            raise GraphError(0, error.reason, did_nothing=error.unsent) from error
        if answer.status_code < (400 if redirects else 300):
            return answer
        failure = self._error(answer)
        if not failure.claims or self.renew is None or challenged:
            raise failure
        self.access_token = self.renew(failure.claims)
        return self._attempt(method, url, body, headers, repeatable=repeatable, redirects=redirects, challenged=True)

    def _pause_before_repeating(self, failure: GraphError, pauses: list[float], *, repeatable: bool) -> float | None:
        """Seconds to wait before a call is sent again; None when it must not be."""
        if failure.retry_after is not None:  # 429, or 503: Graph did nothing, and says when it will
            pause: float | None = max(failure.retry_after, 1.0)
        elif failure.status in (0, *_PASSING) and (repeatable or failure.did_nothing):
            pause = pauses.pop(0) if pauses else None
        else:
            pause = None
        if pause is None or self.until is None:
            return pause
        return pause if (self.until - self.now()).total_seconds() > pause else None

    def _seconds_left(self) -> float | None:
        if self.until is None:
            return None
        seconds = (self.until - self.now()).total_seconds()
        if seconds <= 0:
            raise GraphError(0, "out_of_time", did_nothing=True)
        return seconds

    def _error(self, answer: HttpAnswer) -> GraphError:
        status = answer.status_code
        asks_to_wait = status == 429 or (status == 503 and "retry-after" in answer.headers)
        return GraphError(
            status,
            _error_code(answer),
            claims=claims_challenge(answer.headers.get("www-authenticate", "")) if status == 401 else "",
            retry_after=self.http.retry_after(answer) if asks_to_wait else None,
            request_id=answer.headers.get("request-id", "")[:64],
            did_nothing=asks_to_wait or (400 <= status < 500 and status != 408),
        )


def claims_challenge(header: str) -> str:
    """The claims of a WWW-Authenticate header with `error="insufficient_claims"`, as JSON text; "" when it has none.

    Source: "Claims challenges, claims requests, and client capabilities" of the Microsoft identity platform.
    """
    if "insufficient_claims" not in header or 'claims="' not in header:
        return ""
    encoded = header.split('claims="', 1)[1].split('"', 1)[0]
    try:
        text = base64.b64decode(
            encoded + "=" * (-len(encoded) % 4), altchars=b"-_" if "-" in encoded or "_" in encoded else None
        ).decode()
        return text if isinstance(json.loads(text), dict) else ""
    except ValueError:
        return ""


def answer_challenge(call: Callable[[str], T]) -> T:
    """Runs `call`, and once more with the claims when Graph refuses it with a claims challenge.

    Source: "Claims challenges, claims requests, and client capabilities" of the Microsoft identity platform.

    Args:
        call: takes claims (JSON text, "" at first), acquires a token with them and calls Graph.

    Raises:
        GraphError: the last call failed. Other errors of `call` pass through.
    """
    try:
        return call("")
    except GraphError as error:
        if not error.claims:
            raise
        claims = error.claims
    return call(claims)


def _error_code(answer: HttpAnswer) -> str:
    """Graph's `error.code` ("Microsoft Graph error responses and resource types"); "" when there is none."""
    try:
        error = json_object(answer).get("error")
    except Unavailable:
        return "unparsable"
    code = error.get("code", "") if isinstance(error, dict) else ""
    return str(code)[:80]


def _object(answer: HttpAnswer) -> dict[str, Any]:
    """The answer's JSON object; {} when it is empty. Raises GraphError."""
    if not answer.content and answer.status_code != 200:
        return {}
    try:
        return json_object(answer)
    except Unavailable as error:
        raise GraphError(answer.status_code, error.reason) from error
