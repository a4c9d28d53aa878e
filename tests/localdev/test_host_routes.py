"""Route templates and their order."""

from collections.abc import Sequence

import azure.functions as func
import pytest

from localdev.host import IndexingError, index
from localdev.host.routes import Router
from tests.localdev.host_apps import new_app


def handler(req: func.HttpRequest) -> str:
    """A handler that is never called."""
    return str(req.url)


def router(routes: dict[str, str | None], *, prefix: str = "", methods: Sequence[str] | None = None) -> Router:
    """A router over functions with these names and routes."""
    app = new_app()
    for name, route in routes.items():
        app.function_name(name)(app.route(route=route, methods=methods)(handler))
    return Router(index(app), prefix=prefix)


def match(template: str, path: str) -> dict[str, str] | None:
    """The values that a template takes from a path."""
    found = router({"one": template}).find("GET", path)
    return found[1] if found else None


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("a/b", "/a/b", {}),
        ("a/b", "/A/B/", {}),
        ("/a", "/a", {}),
        ("a/b", "/a", None),
        ("a/b", "/a/b/c", None),
        ("a/b", "/a//b", None),
        ("me/{id}", "/me/7", {"id": "7"}),
        ("me/{id}", "/me", None),
        ("me/{id?}", "/me", {}),
        ("me/{id=9}", "/me", {"id": "9"}),
        ("{a}/x/{b?}", "/1/x/2", {"a": "1", "b": "2"}),
        ("f/{*rest}", "/f", {}),
        ("f/{*rest}", "/f/a/b/", {"rest": "a/b/"}),
        ("f/{**rest}", "/f/a", {"rest": "a"}),
        ("f/{name}.{ext}", "/f/a.b.c", {"name": "a.b", "ext": "c"}),
        ("f/v{n:int}", "/f/v12", {"n": "12"}),
        ("f/v{n:int}", "/f/vx", None),
        ("a.b", "/aXb", None),
    ],
)
def test_a_template_takes_its_values(template: str, path: str, values: dict[str, str] | None) -> None:
    """Literals ignore case, and a trailing slash is allowed."""
    assert match(template, path) == values


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("int", "-7", "7.5"),
        ("int", "2147483647", "2147483648"),
        ("long", "2147483648", "9" * 5000),
        ("bool", "True", "1"),
        ("alpha", "abC", "ab1"),
        ("guid", "6F9619FF-8B86-D011-B42D-00CF4FC964FF", "6F9619FF"),
        ("decimal", "1.5", "x"),
        ("length(3)", "abc", "ab"),
        ("length(2,3)", "ab", "abcd"),
        ("minlength(2)", "ab", "a"),
        ("maxlength(2)", "ab", "abc"),
        ("min(3)", "3", "2"),
        ("max(3)", "3", "4"),
        ("range(1,3)", "2", "4"),
        ("required", "a", " "),
        (r"regex(^\d{{2}}$)", "12", "123"),
        ("int:min(3)", "3", "2"),
    ],
)
def test_a_constraint_lets_only_its_own_through(constraint: str, good: str, bad: str) -> None:
    """These are ASP.NET Core's inline constraints."""
    assert match(f"x/{{v:{constraint}}}", f"/x/{good}") == {"v": good}
    assert match(f"x/{{v:{constraint}}}", f"/x/{bad}") is None


def test_the_home_pages_route_fits_the_root_only() -> None:
    """An empty route would become the function's name."""
    home = router({"home": "{ignored:maxlength(0)?}"})
    assert home.find("GET", "/") is not None
    assert home.find("GET", "/x") is None


@pytest.mark.parametrize("route", ["", None])
def test_no_route_means_the_functions_name(route: str | None) -> None:
    """The prefix comes before it."""
    named = router({"Hello": route}, prefix="api")
    assert named.find("GET", "/api/hello") is not None
    assert named.find("GET", "/") is None


def test_the_first_function_by_name_wins_not_the_most_literal_route() -> None:
    """As in Azure: `Details` comes before `List`, so its parameter takes every product."""
    found = router({"List": "products/list", "Details": "products/{id}"}).find("GET", "/products/list")
    assert found is not None
    assert found[0].function.name == "Details"


def test_a_wrong_method_does_not_fit() -> None:
    """HEAD doesn't match either, unless it is listed."""
    only_get = router({"x": "x"}, methods=["GET"])
    assert only_get.find("GET", "/x")
    assert not only_get.find("POST", "/x")
    assert not only_get.find("HEAD", "/x")


def test_no_methods_mean_all() -> None:
    """HEAD is one of them."""
    anything = router({"x": "x"})
    assert all(anything.find(method, "/x") for method in ("GET", "HEAD", "OPTIONS", "PUT"))


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("admin/x", "belongs to the host"),
        ("/Runtime", "belongs to the host"),
        ("administrators", "belongs to the host"),
        ("a//b", "two slashes"),
        ("{a}/{A}", "twice"),
        ("{*a}/b", "last"),
        ("{a", "braces"),
        ("{a:odd}", "odd"),
        ("{a:regex(()}", "."),
        ("{a:length(x)}", "x"),
        ("a?b", "not a route parameter"),
        ("{a}.{b?}", "must fill its segment"),
    ],
)
def test_a_route_that_the_host_refuses_is_refused(route: str, said: str) -> None:
    """The message has the reason and the function."""
    with pytest.raises(IndexingError, match=said) as caught:
        router({"bad": route})
    assert caught.value.function == "bad"


def test_one_route_for_two_functions_is_refused() -> None:
    """It is allowed when their methods differ."""
    with pytest.raises(IndexingError, match="conflicts with that of 'a'"):
        router({"a": "x/{id}", "b": "X/{id}"})
    app = new_app()
    app.function_name("a")(app.route(route="x", methods=["GET"])(handler))
    app.function_name("b")(app.route(route="x", methods=["POST"])(handler))
    found = Router(index(app), prefix="").find("POST", "/x")
    assert found is not None
    assert found[0].function.name == "b"
