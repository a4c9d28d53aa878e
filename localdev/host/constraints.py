"""Route constraints such as `{id:int}` (learn.microsoft.com: Routing in ASP.NET Core, route constraints)."""

import re
import uuid
from collections.abc import Callable, Mapping

Check = Callable[[str], bool]


def constraint(name: str, argument: str) -> Check:
    """The check of an inline constraint. `argument` is the text in its parentheses.

    Raises:
        ValueError: The local host doesn't have this constraint.
    """
    if name in _PLAIN and not argument:
        return _PLAIN[name]
    if name == "regex":
        return _regex(argument)
    numbers = [int(number) for number in argument.split(",")] if argument else []
    if (name, len(numbers)) not in _COUNTED:
        raise ValueError(f"'{name}({argument})' is not a constraint that the local host knows")
    return _COUNTED[name, len(numbers)](numbers)


def _regex(argument: str) -> Check:
    try:
        pattern = re.compile(argument.replace("{{", "{").replace("}}", "}"), re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"'{argument}' is not a regular expression: {error}") from error
    return lambda value: pattern.search(value) is not None


def _fits(pattern: str) -> Check:
    compiled = re.compile(pattern, re.IGNORECASE | re.ASCII)
    return lambda value: compiled.fullmatch(value) is not None


def _within(low: int, high: int) -> Check:
    return lambda value: re.fullmatch(r"\s*[+-]?[0-9]{1,19}\s*", value) is not None and low <= int(value) <= high


def _is_guid(value: str) -> bool:
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return True


_NUMBER = r"\s*[+-]?(\d[\d,]*)?\.?\d*(e[+-]?\d+)?\s*"
_PLAIN: Mapping[str, Check] = {
    "int": _within(-(2**31), 2**31 - 1),
    "long": _within(-(2**63), 2**63 - 1),
    "bool": _fits(r"\s*(true|false)\s*"),
    "alpha": _fits(r"[a-z]*"),
    "guid": _is_guid,
    "decimal": _fits(_NUMBER),
    "double": _fits(_NUMBER),
    "float": _fits(_NUMBER),
    "required": lambda value: bool(value.strip()),
}
_COUNTED: Mapping[tuple[str, int], Callable[[list[int]], Check]] = {
    ("length", 1): lambda n: lambda value: len(value) == n[0],
    ("length", 2): lambda n: lambda value: n[0] <= len(value) <= n[1],
    ("minlength", 1): lambda n: lambda value: len(value) >= n[0],
    ("maxlength", 1): lambda n: lambda value: len(value) <= n[0],
    ("min", 1): lambda n: _within(n[0], 2**63 - 1),
    ("max", 1): lambda n: _within(-(2**63), n[0]),
    ("range", 2): lambda n: _within(n[0], n[1]),
}
