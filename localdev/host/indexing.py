"""Indexing an app's functions as Microsoft's Python worker and host do.

The rules come from azure-functions-python-worker (functions.py) and azure-functions-host (ScriptHost.cs). In Azure, one
function that the worker can't index makes all of them fail.
"""

import dataclasses
import inspect
import itertools
import json
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func

from localdev.host.bindings import Binding, Parameter, converter_of
from localdev.host.errors import IndexingError

TRIGGERS = ("httpTrigger", "timerTrigger", "queueTrigger")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,127}", re.IGNORECASE)
# list[str] is not one of these, and the worker refuses it for that reason.
_TYPING_ALIAS: type = type(typing.List[int])  # noqa: UP006 - the old spelling is the point
_OUT = 1


@dataclass(frozen=True)
class IndexedFunction:
    """A function that Azure would load.

    `returns` is the binding named `$return`; None when the handler must return nothing.
    """

    name: str
    handler: Callable[..., Any]
    trigger: Binding
    parameters: Mapping[str, Parameter]
    returns: Binding | None
    wants_context: bool
    is_async: bool
    has_retry_policy: bool
    directory: Path


def index(app: func.FunctionApp) -> tuple[IndexedFunction, ...]:
    """Index the app's functions. They are sorted by name, ignoring case, as in the host.

    Call this once per app: azure-functions refuses a second call.

    Raises:
        IndexingError: Azure would not index one of them.
    """
    try:
        functions = app.get_functions()
    except ValueError as error:
        raise IndexingError(str(error)) from error
    indexed = sorted((_index_one(function) for function in functions), key=lambda one: one.name.upper())
    _refuse_twins(indexed)
    return tuple(indexed)


def _index_one(function: Any) -> IndexedFunction:
    name = function.get_function_name()
    try:
        has_retry_policy = function.get_settings_dict("retry_policy") is not None
        indexed = _Indexer(name, function.get_user_function()).index(_bindings(function))
        return dataclasses.replace(indexed, has_retry_policy=has_retry_policy)
    except IndexingError:
        raise
    # The worker's own checks raise these when an annotation is not a class or can't be resolved.
    except (TypeError, NameError, AttributeError, ValueError) as error:
        raise IndexingError(str(error), function=name) from error


def _bindings(function: Any) -> list[Binding]:
    raw = [json.loads(text) for text in function.get_raw_bindings()]
    directions = [binding.direction for binding in function.get_bindings()]
    if any(direction not in (0, _OUT) for direction in directions):
        raise IndexingError("'inout' bindings are not supported", function=function.get_function_name())
    return [
        Binding(entry["name"], entry["type"], direction == _OUT, entry)
        for entry, direction in zip(raw, directions, strict=True)
    ]


class _Indexer:
    """Checks one handler against its bindings."""

    def __init__(self, name: str, handler: Callable[..., Any]) -> None:
        self._name = name
        self._handler = handler
        self._hints = typing.get_type_hints(handler)
        self._arguments = dict(inspect.signature(handler).parameters)

    def index(self, bindings: Sequence[Binding]) -> IndexedFunction:
        if not _NAME.fullmatch(self._name) or self._name.lower() == "host":
            raise self._refuse("a name starts with a letter and has letters, digits, '-' and '_' only, at most 128")
        returns = next((binding for binding in bindings if binding.name == "$return"), None)
        bound = {binding.name: binding for binding in bindings if binding is not returns}
        wants_context = self._takes_context(bound)
        self._check_arguments(bound)
        trigger = self._trigger(bindings)
        parameters = {name: self._parameter(binding) for name, binding in bound.items()}
        self._check_return(returns)
        return IndexedFunction(
            name=self._name,
            handler=self._handler,
            trigger=trigger,
            parameters=parameters,
            returns=returns,
            wants_context=wants_context,
            is_async=inspect.iscoroutinefunction(self._handler),
            has_retry_policy=False,
            directory=Path(inspect.getfile(inspect.unwrap(self._handler))).parent,
        )

    def _refuse(self, reason: str) -> IndexingError:
        return IndexingError(reason, function=self._name)

    def _trigger(self, bindings: Sequence[Binding]) -> Binding:
        """The function's one trigger. Raises IndexingError for bindings that this host doesn't have."""
        known = [binding for binding in bindings if binding.type in TRIGGERS and not binding.is_out]
        others = sorted({binding.type for binding in bindings} - {*TRIGGERS, "http"})
        if others or len(known) != 1:
            raise self._refuse(f"the local host has no {', '.join(others) or 'such trigger'}; use Core Tools for it")
        if any(binding.is_out and binding.name != "$return" for binding in bindings):
            raise self._refuse("the local host has no output parameters; return the response instead")
        return known[0]

    def _takes_context(self, bound: Mapping[str, Binding]) -> bool:
        if "context" not in self._arguments or "context" in bound:
            return False
        del self._arguments["context"]
        hint = self._hints.get("context")
        if hint is not None and (not isinstance(hint, type) or hint.__name__ != "Context"):
            raise self._refuse(f"the 'context' parameter must be an azure.functions.Context, not {hint!r}")
        return True

    def _check_arguments(self, bound: Mapping[str, Binding]) -> None:
        extra = sorted(set(self._arguments) - set(bound))
        missing = sorted(set(bound) - set(self._arguments))
        if extra:
            raise self._refuse(f"parameters without a binding: {', '.join(extra)}")
        if missing:
            raise self._refuse(f"bindings without a parameter: {', '.join(missing)}")

    def _parameter(self, binding: Binding) -> Parameter:
        if binding.name not in self._hints:
            return Parameter(binding, binding.type)
        hint = self._hints[binding.name]
        self._check_type(hint, f"parameter '{binding.name}'")
        if hint in (str, bytes):
            return Parameter(binding, "generic")
        converter = converter_of(binding.type)
        if converter is None or not converter.check_input_type_annotation(hint):
            raise self._refuse(f"parameter '{binding.name}': {hint!r} does not fit the binding '{binding.type}'")
        return Parameter(binding, binding.type)

    def _check_return(self, returns: Binding | None) -> None:
        if returns is None or "return" not in self._hints:
            return
        hint = self._hints["return"]
        if not isinstance(hint, type):
            raise self._refuse(f"the return annotation {hint!r} is not a type")
        converter = converter_of(returns.type)
        if converter is None or not converter.check_output_type_annotation(hint):
            raise self._refuse(f"the return annotation {hint!r} does not fit the binding '{returns.type}'")

    def _check_type(self, hint: object, where: str) -> None:
        is_alias = isinstance(hint, _TYPING_ALIAS) and typing.get_origin(hint) is not typing.Union
        if not isinstance(hint, type) and not is_alias:
            raise self._refuse(f"{where} has an annotation that is not a type: {hint!r}")


def _refuse_twins(functions: Sequence[IndexedFunction]) -> None:
    """Raises IndexingError for names that differ in case only: the host ignores case, the worker does not."""
    for first, second in itertools.pairwise(functions):
        if first.name.lower() == second.name.lower():
            raise IndexingError(f"the name is taken by '{first.name}'", function=second.name)
