"""What Azure would load, and what it would refuse."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, List, Optional  # noqa: UP035 - the old spellings are under test

import azure.functions as func
import pytest

from localdev.host import IndexingError, index
from tests.localdev.host_apps import new_app

if TYPE_CHECKING:
    from decimal import Decimal

Handler = Callable[..., Any]


def http(req: func.HttpRequest) -> func.HttpResponse:
    """A plain handler."""
    return func.HttpResponse(req.method)


def renamed(request: func.HttpRequest) -> func.HttpResponse:
    """Its parameter is not the binding's."""
    return http(request)


def extra(req: func.HttpRequest, more: str) -> func.HttpResponse:
    """It has a parameter that no binding fills."""
    return http(req)


def returns_dict(req: func.HttpRequest) -> dict[str, str]:
    """Not a response."""
    return {}


def returns_plain_dict(req: func.HttpRequest) -> dict:  # type: ignore[type-arg]  # the bare type is under test
    """Not a response, as most would write it."""
    return {}


def returns_optional(req: func.HttpRequest) -> Optional[func.HttpResponse]:  # noqa: UP045 - the old spelling is under test
    """Maybe a response."""
    return None


def returns_union(req: func.HttpRequest) -> func.HttpResponse | None:
    """Maybe a response, in new spelling."""
    return None


def returns_none(req: func.HttpRequest) -> None:
    """Never a response."""


def takes_number(req: int) -> str:
    """Not a request."""
    return str(req)


def takes_list(req: List[func.HttpRequest]) -> str:  # noqa: UP006 - the old spelling is under test
    """Many requests."""
    return str(req)


def takes_new_list(req: list[func.HttpRequest]) -> str:
    """Many requests, in new spelling."""
    return str(req)


def hidden_type(req: "Decimal") -> str:
    """Only type checkers can import its annotation."""
    return str(req)


def wrong_context(req: func.HttpRequest, context: str) -> str:
    """A context of another type."""
    return context


def undecorated(handler: Handler) -> Handler:
    """A decorator without functools.wraps."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return handler(*args, **kwargs)

    return wrapper


def decorated(handler: Handler) -> Handler:
    """A decorator with functools.wraps."""
    return functools.wraps(handler)(undecorated(handler))


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (renamed, "without a binding: request"),
        (extra, "without a binding: more"),
        (returns_dict, "not a type|does not fit"),
        (returns_plain_dict, "does not fit"),
        (returns_optional, "not a type"),
        (returns_union, "not a type"),
        (returns_none, "does not fit"),
        (takes_number, "does not fit"),
        (takes_list, "must be a class"),
        (takes_new_list, "not a type"),
        (hidden_type, "Decimal"),
        (wrong_context, "'context' parameter"),
        (undecorated(http), "without a binding: args, kwargs"),
    ],
)
def test_a_handler_that_azure_would_not_index_is_refused(handler: Handler, said: str) -> None:
    """In Azure it would make all other functions fail, too."""
    app = new_app()
    app.route(route="x")(handler)
    with pytest.raises(IndexingError, match=said) as caught:
        index(app)
    assert caught.value.function == handler.__name__


def test_duplicate_names_are_refused() -> None:
    """Two functions with one name."""
    app = new_app()
    app.route(route="a")(http)
    app.route(route="b")(http)
    with pytest.raises(IndexingError, match="unique"):
        index(app)


def test_names_that_differ_in_case_only_are_refused() -> None:
    """The host ignores case."""
    app = new_app()
    app.function_name("Same")(app.route(route="a")(http))
    app.function_name("same")(app.route(route="b")(http))
    with pytest.raises(IndexingError, match="taken"):
        index(app)


@pytest.mark.parametrize("name", ["1st", "a b", "host", "x" * 129])
def test_a_name_that_the_host_refuses_is_refused(name: str) -> None:
    """Names have letters, digits, '-' and '_', and `host` is reserved."""
    app = new_app()
    app.function_name(name)(app.route(route="a")(http))
    with pytest.raises(IndexingError, match="a name starts with"):
        index(app)


def test_a_trigger_that_the_local_host_lacks_is_named() -> None:
    """The message says that Core Tools can run it."""

    def on_blob(blob: func.InputStream) -> None:
        """Never runs."""

    app = new_app()
    app.blob_trigger(arg_name="blob", path="x", connection="C")(on_blob)
    with pytest.raises(IndexingError, match="no blobTrigger"):
        index(app)


def test_an_output_parameter_is_refused() -> None:
    """The local host writes no output bindings."""

    def put(req: func.HttpRequest, message: func.Out[str]) -> str:
        message.set("x")
        return "x"

    app = new_app()
    app.queue_output(arg_name="message", queue_name="q", connection="C")(app.route(route="x")(put))
    with pytest.raises(IndexingError, match="no queue"):
        index(app)


def test_functions_come_sorted_by_name_without_regard_to_case() -> None:
    """The host sorts them in the same way."""
    app = new_app()
    for name in ("b", "C", "a", "B_"):
        app.function_name(name)(app.route(route=name)(http))
    assert [one.name for one in index(app)] == ["a", "b", "B_", "C"]


def test_blueprints_are_indexed_with_the_app() -> None:
    """Only registered ones are."""
    blueprint = func.Blueprint()  # theirs has no annotations
    forgotten = func.Blueprint()
    blueprint.route(route="x")(http)
    forgotten.route(route="y")(takes_number)
    app = new_app()
    app.register_functions(blueprint)
    (one,) = index(app)
    assert (one.name, one.trigger.properties["route"], one.is_async) == ("http", "x", False)


def test_a_blueprints_function_takes_the_apps_auth_level() -> None:
    """A blueprint has no level."""
    blueprint = func.Blueprint()  # theirs has no annotations
    blueprint.route(route="x")(http)
    app = new_app()
    app.register_functions(blueprint)
    assert index(app)[0].trigger.properties["authLevel"] == "ANONYMOUS"


def test_what_azure_takes_is_taken() -> None:
    """Strings, contexts, wrapped and async handlers, and handlers without annotations."""
    app = new_app()

    def bare(req):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - no annotations are under test
        return "x"

    async def awaited(req: func.HttpRequest, context: func.Context) -> str:
        return context.function_name

    def on_timer(timer: func.TimerRequest) -> None:
        """Never runs."""

    def on_message(message: str) -> None:
        """Never runs."""

    app.route(route="bare")(bare)
    app.route(route="awaited")(awaited)
    app.route(route="wrapped")(decorated(http))
    app.timer_trigger(arg_name="timer", schedule="0 * * * * *")(on_timer)
    app.queue_trigger(arg_name="message", queue_name="q", connection="C")(on_message)
    found = {one.name: one for one in index(app)}
    assert sorted(found) == ["awaited", "bare", "http", "on_message", "on_timer"]
    assert found["awaited"].is_async
    assert found["awaited"].wants_context
    assert found["on_timer"].returns is None
