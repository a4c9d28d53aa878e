"""Route templates, as ASP.NET Core reads them for the Functions host.

Routes are tried in the order of the functions' names, not by how literal they are. The first match wins, as in the real
host (azure-functions-host issues 3153 and 9876). A route does not match another method, hence 404 and not 405.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from localdev.host.constraints import Check, constraint
from localdev.host.errors import IndexingError
from localdev.host.indexing import IndexedFunction

_PARAMETER = re.compile(
    r"\{(?P<star>\*{0,2})(?P<name>[^{}/:=?*]+)(?P<constraints>(?::(?:[^(){}=?:]+)(?:\((?:[^()]|\([^()]*\))*\))?)*)"
    r"(?:=(?P<default>[^{}?]*))?(?P<optional>\?)?\}"
)
_CONSTRAINT = re.compile(r":([^(){}=?:]+)(?:\(((?:[^()]|\([^()]*\))*)\))?")
_RESERVED = ("admin", "runtime")


@dataclass(frozen=True)
class _Parameter:
    name: str
    constraints: tuple[Check, ...]
    default: str | None
    optional: bool
    catch_all: bool

    def accepts(self, value: str) -> bool:
        return all(check(value) for check in self.constraints)


@dataclass(frozen=True)
class _Segment:
    """The text between two slashes: a literal, a parameter, or a mixture such as `{name}.{ext}`."""

    pattern: re.Pattern[str]
    parameters: tuple[_Parameter, ...]

    @property
    def alone(self) -> _Parameter | None:
        return self.parameters[0] if self.pattern.pattern == "(.+)" else None


@dataclass(frozen=True)
class Route:
    """One function's template and methods. Without methods it takes all."""

    function: IndexedFunction
    template: str
    methods: frozenset[str]
    segments: tuple[_Segment, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """The route parameters of a decoded path that starts with a slash; None when it does not match."""
        parts = path[1:].split("/") if len(path) > 1 else []
        if parts and not parts[-1]:
            parts.pop()
        values: dict[str, str] = {}
        for position, segment in enumerate(self.segments):
            alone = segment.alone
            # A catch-all takes the rest of the path, with its trailing slash.
            if alone and alone.catch_all and (rest := "/".join(path[1:].split("/")[position:])):
                return {**values, alone.name: rest} if alone.accepts(rest) else None
            if position >= len(parts):
                return self._absent(values, position)
            found = segment.pattern.fullmatch(parts[position])
            if found is None:
                return None
            for parameter, value in zip(segment.parameters, found.groups(), strict=True):
                if not parameter.accepts(value):
                    return None
                values[parameter.name] = value
        return values if len(parts) <= len(self.segments) else None

    def _absent(self, values: dict[str, str], position: int) -> dict[str, str] | None:
        """The values when the path ends before the template; None unless the rest may be left out."""
        for segment in self.segments[position:]:
            alone = segment.alone
            if alone is None or not (alone.optional or alone.catch_all or alone.default is not None):
                return None
            if alone.default is not None:
                values[alone.name] = alone.default
        return values


class Router:
    """All routes of an app."""

    def __init__(self, functions: Iterable[IndexedFunction], *, prefix: str) -> None:
        """Build the routes of the HTTP functions among `functions`.

        Raises:
            IndexingError: The host would refuse a route: it is malformed, reserved or taken.
        """
        self.routes: list[Route] = []
        for function in functions:
            if function.trigger.type == "httpTrigger":
                self._add(_route(function, prefix))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The first route that matches, and its parameters; None when none does."""
        for route in self.routes:
            if route.methods and method.upper() not in route.methods:
                continue
            values = route.match(path)
            if values is not None:
                return route, values
        return None

    def _add(self, route: Route) -> None:
        for other in self.routes:
            same = other.template.lower() == route.template.lower()
            if same and (not route.methods or not other.methods or route.methods & other.methods):
                raise IndexingError(
                    f"the route '{route.template}' conflicts with that of '{other.function.name}'",
                    function=route.function.name,
                )
        self.routes.append(route)


def _route(function: IndexedFunction, prefix: str) -> Route:
    properties = function.trigger.properties
    # The function's name replaces an empty route.
    own = str(properties.get("route") or "").strip() or function.name
    if own.strip("/").lower().startswith(_RESERVED):
        raise IndexingError(f"the route '{own}' belongs to the host", function=function.name)
    template = f"{prefix}/{own}" if prefix else own.removeprefix("~/").removeprefix("/")
    methods = frozenset(str(method).upper() for method in properties.get("methods") or ())
    try:
        segments = tuple(_segment(text) for text in _split(template))
        _check_order(segments)
    except ValueError as error:
        raise IndexingError(f"the route '{template}': {error}", function=function.name) from error
    return Route(function, template, methods, segments)


def _split(template: str) -> list[str]:
    """Split the template at slashes outside braces. Raises ValueError."""
    parts = [""]
    depth = 0
    for character in template:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "/" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if depth:
        raise ValueError("braces don't pair")
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    if "" in parts and parts != [""]:
        raise ValueError("two slashes in a row")
    return [part for part in parts if part]


def _segment(text: str) -> _Segment:
    pattern = ""
    parameters: list[_Parameter] = []
    position = 0
    for found in _PARAMETER.finditer(text):
        pattern += _literal(text[position : found.start()]) + "(.+)"
        parameters.append(_parameter(found))
        position = found.end()
    pattern += _literal(text[position:])
    shares = len(parameters) > 1 or pattern != "(.+)"
    if shares and any(parameter.catch_all or parameter.optional for parameter in parameters):
        raise ValueError(f"'{text}': a catch-all or optional parameter must fill its segment in the local host")
    return _Segment(re.compile(pattern, re.IGNORECASE | re.DOTALL), tuple(parameters))


def _literal(text: str) -> str:
    if "{" in text or "}" in text or "?" in text:
        raise ValueError(f"'{text}' is not a route parameter")
    return re.escape(text)


def _parameter(found: re.Match[str]) -> _Parameter:
    return _Parameter(
        name=found["name"],
        constraints=tuple(constraint(name, argument) for name, argument in _CONSTRAINT.findall(found["constraints"])),
        default=found["default"],
        optional=bool(found["optional"]),
        catch_all=bool(found["star"]),
    )


def _check_order(segments: Sequence[_Segment]) -> None:
    names = [parameter.name.lower() for segment in segments for parameter in segment.parameters]
    if len(set(names)) < len(names):
        raise ValueError("a parameter appears twice")
    if any(parameter.catch_all for segment in segments[:-1] for parameter in segment.parameters):
        raise ValueError("a catch-all parameter must come last")
