"""Bindings and their values. azure-functions' own converters do the work."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func


@dataclass(frozen=True)
class Binding:
    """One entry of what would be function.json; `properties` has its keys in camelCase."""

    name: str
    type: str
    is_out: bool
    properties: Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """How one argument of a handler is converted: `converter` is a binding's type, or `generic` for str and bytes."""

    binding: Binding
    converter: str


@dataclass(frozen=True)
class Datum:
    """A value between host and worker, with the two attributes that the converters read.

    `type` is `string`, `bytes`, `json` or `http`.
    """

    value: Any
    type: str


def converter_of(binding_type: str) -> Any:
    """azure-functions' converter for a binding type; None when there is none."""
    return func.get_binding_registry().get(binding_type)  # it has no annotations


def decode(parameter: Parameter, datum: Datum, *, metadata: Mapping[str, Datum] | None = None) -> Any:
    """Turn a trigger's datum into the type of the handler's parameter.

    Raises:
        TypeError: The parameter's annotation can't take this kind of value.
    """
    if parameter.converter == "generic":
        if datum.type not in ("string", "bytes", "json"):
            raise TypeError(f"a text or bytes parameter can't take a value of type '{datum.type}'")
        return datum.value
    return converter_of(parameter.converter).decode(datum, trigger_metadata=metadata or {})


def encode_http(value: Any) -> Any:
    """Turn an HTTP handler's result into a datum. This removes the cookies from an HttpResponse.

    Raises:
        TypeError: The handler returned neither an HttpResponse nor a text.
    """
    try:
        return converter_of("http").encode(value, expected_type=None)
    except NotImplementedError as error:
        raise TypeError(f"an HTTP function can't return a {type(value).__name__}") from error
