"""$filter as a predicate: comparisons, `startswith`, `contains`, `and`, `or`, `not` and parentheses.

OData Version 4.01, Part 2: URL Conventions, 5.1.1; Microsoft's page "Use the $filter query parameter".
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from localdev.graph.errors import bad_request

Predicate = Callable[[Mapping[str, Any]], bool]
_TOKEN = re.compile(r"'(?:[^']|'')*'|[(),]|[^\s(),']+")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_TEXT: dict[str, Callable[[str, str], bool]] = {"startswith": str.startswith, "contains": str.__contains__}


@dataclass(frozen=True)
class Filter:
    """A read filter, and the properties in it by first appearance."""

    matches: Predicate
    properties: tuple[str, ...]


def read_filter(text: str) -> Filter:
    """Reads a $filter. Raises GraphError 400 when it makes no sense. "" matches everything."""
    if not text:
        return Filter(lambda _: True, ())
    reader = _Reader(text)
    return Filter(reader.whole(), tuple(dict.fromkeys(reader.properties)))


class _Reader:
    """Reads by recursive descent: or, and, not, primary."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        self.properties: list[str] = []
        rest = text.strip()
        while rest:
            found = _TOKEN.match(rest)
            if found is None:
                raise self._wrong()
            self._tokens.append(found[0])
            rest = rest[found.end() :].lstrip()

    def whole(self) -> Predicate:
        found = self._any()
        if self._tokens:
            raise self._wrong()
        return found

    def _any(self) -> Predicate:
        parts = [self._all()]
        while self._skip("or"):
            parts.append(self._all())
        return lambda item: any(each(item) for each in parts)

    def _all(self) -> Predicate:
        parts = [self._one()]
        while self._skip("and"):
            parts.append(self._one())
        return lambda item: all(each(item) for each in parts)

    def _one(self) -> Predicate:
        if self._skip("not"):
            inner = self._one()
            return lambda item: not inner(item)
        if self._skip("("):
            inner = self._any()
            self._expect(")")
            return inner
        word = self._next()
        if word in _TEXT and self._skip("("):
            return self._text_function(word)
        return self._comparison(word)

    def _text_function(self, name: str) -> Predicate:
        path = self._property(self._next())
        self._expect(",")
        wanted, test = _literal(self._next(), self._text), _TEXT[name]
        self._expect(")")
        return lambda item: test(str(value_at(item, path)).lower(), str(wanted).lower())

    def _comparison(self, word: str) -> Predicate:
        path, test = self._property(word), _COMPARE.get(self._next())
        if test is None:
            raise self._wrong()
        wanted, ordered = _literal(self._next(), self._text), test
        return lambda item: _holds(ordered, value_at(item, path), wanted)

    def _property(self, word: str) -> str:
        if not re.fullmatch(r"[A-Za-z_][\w/]*", word):
            raise self._wrong()
        self.properties.append(word)
        return word

    def _next(self) -> str:
        if not self._tokens:
            raise self._wrong()
        return self._tokens.pop(0)

    def _skip(self, word: str) -> bool:
        if self._tokens and self._tokens[0] == word:
            self._tokens.pop(0)
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._skip(word):
            raise self._wrong()

    def _wrong(self) -> Exception:
        return bad_request(f"Invalid filter clause: syntax error in '{self._text}'.")


def value_at(item: Mapping[str, Any], path: str) -> Any:
    """The value at a property path such as from/emailAddress/address. Raises GraphError 400 for an unknown property."""
    value: Any = item
    for name in path.split("/"):
        if not isinstance(value, Mapping) or name not in value:
            raise bad_request(f"Could not find a property named '{path}'.")
        value = value[name]
    return value


def _literal(word: str, text: str) -> Any:
    if word.startswith("'"):
        return word[1:-1].replace("''", "'")
    known = {"true": True, "false": False, "null": None}
    if word in known:
        return known[word]
    for read in (float, datetime.fromisoformat):
        try:
            return read(word)
        except ValueError:
            continue
    raise bad_request(f"Invalid filter clause: '{word}' in '{text}' is no value.")


def _holds(test: Callable[[Any, Any], bool], value: Any, wanted: Any) -> bool:
    if isinstance(wanted, datetime):
        value = datetime.fromisoformat(str(value))
        wanted = wanted if wanted.tzinfo else wanted.replace(tzinfo=value.tzinfo)
    if isinstance(wanted, str) and isinstance(value, str):
        value, wanted = value.lower(), wanted.lower()
    try:
        return test(value, wanted)
    except TypeError as error:
        raise bad_request("Invalid filter clause: a binary operator with incompatible types was detected.") from error
