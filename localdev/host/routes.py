"""Route templates, as ASP.NET Core reads them for the Functions host.

Routes are tried in the order of the function's names, not by how literal they are, and the first that fits wins:
that is what the real host does (azure-functions-host issues 3153 and 9876). A wrong method is no fit, hence 404.
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
    """Text between two slashes: a literal, a parameter, or a mixture such as `{name}.{ext}`."""

    pattern: re.Pattern[str]
    parameters: tuple[_Parameter, ...]

    @property
    def alone(self) -> _Parameter | None:
        return self.parameters[0] if self.pattern.pattern == "(.+)" else None


@dataclass(frozen=True)
class Route:
    """One function's template and methods; no methods means all."""

    function: IndexedFunction
    template: str
    methods: frozenset[str]
    segments: tuple[_Segment, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """The route parameters of a decoded path that starts with a slash; None when it does not fit."""
        parts = path[1:].split("/") if len(path) > 1 else []
        if parts and not parts[-1]:
            parts.pop()
        values: dict[str, str] = {}
        for position, segment in enumerate(self.segments):
            alone = segment.alone
            if alone and alone.catch_all:
                # The rest as it came, its trailing slash included.
                rest = "/".join(path[1:].split("/")[position:])
                return _checked(values, alone, rest)
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
        """The path ended early: fine when all that is left may be left out."""
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
            IndexingError: A route that the host refuses: malformed, reserved, or taken.
        """
        self.routes: list[Route] = []
        for function in functions:
            if function.trigger.type == "httpTrigger":
                self._add(_route(function, prefix))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The first route that fits, with its parameters."""
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
    # An empty route is replaced by the function's name.
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
    """Cut at the slashes that are not inside braces."""
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


def _checked(values: dict[str, str], parameter: _Parameter, value: str) -> dict[str, str] | None:
    if value and not parameter.accepts(value):
        return None
    chosen = value or parameter.default
    return {**values, parameter.name: chosen} if chosen else values
