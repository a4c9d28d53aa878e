"""Pages of a collection: $filter, $orderby, $select, $top, $skip, $count, and the link to the next page.

Microsoft's pages "Use query parameters to customize responses", "Paging Microsoft Graph data in your app" and, for the
rule on $filter with $orderby, "List messages".
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import JSONResponse, Response

from localdev.graph.endpoint import Call
from localdev.graph.errors import bad_request
from localdev.graph.odata_filter import read_filter, value_at

PAGE = 10
_LARGEST_PAGE = 1000
_ALWAYS = ("id", "@odata.etag")


def page(call: Call, items: Iterable[Mapping[str, Any]], *, context: str, headers: Mapping[str, str] = {}) -> Response:
    """One page of `items`, which come in their default order. Raises GraphError 400.

    Args:
        context: what comes after $metadata# in @odata.context.
    """
    wanted, order = read_filter(call.query("$filter")), _order(call.query("$orderby"))
    names = tuple(name for name, _ in order)
    if wanted.properties and names != wanted.properties[: len(names)]:
        raise bad_request("The restriction or sort order is too complex for this operation.", "InefficientFilter")
    found = [each for each in items if wanted.matches(each)]
    for name, descending in reversed(order):
        found.sort(key=lambda each: str(value_at(each, name)), reverse=descending)
    top, skip = number(call, "$top", PAGE, least=1), number(call, "$skip", 0, least=0)
    body: dict[str, Any] = {"@odata.context": f"{call.root}/$metadata#{context}"}
    if call.query("$count") == "true":
        body["@odata.count"] = len(found)
    body["value"] = [select(each, call.query("$select")) for each in found[skip : skip + top]]
    if skip + top < len(found):
        body["@odata.nextLink"] = link(call, {"$skip": str(skip + top)})
    return JSONResponse(body, headers=dict(headers))


def number(call: Call, name: str, default: int, *, least: int) -> int:
    """A number in the query, at most 1000 for $top. Raises GraphError 400."""
    text = call.query(name)
    most = _LARGEST_PAGE if name == "$top" else 10**9
    if text and not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise bad_request(
            f"Invalid value '{text}' for {name} query option found. It requires a whole number between {least} "
            f"and {most}.",
            "ErrorInvalidParameter",
        )
    return int(text or default)


def select(item: Mapping[str, Any], names: str) -> dict[str, Any]:
    """The selected properties and those that always come; everything without $select."""
    wanted = {name.strip().lower() for name in names.split(",") if name.strip()}
    return {name: value for name, value in item.items() if not wanted or name in _ALWAYS or name.lower() in wanted}


def link(call: Call, changes: Mapping[str, str]) -> str:
    """This request's URL with parameters changed."""
    kept = {name: value for name, value in call.request.query_params.items() if name.lower() not in changes}
    return f"{call.tenancy.page}{quote(call.request.url.path, safe='/=()')}?{urlencode(kept | dict(changes))}"


def _order(text: str) -> Sequence[tuple[str, bool]]:
    """Property paths, and whether each descends."""
    parts = [each.split() for each in text.split(",") if each.strip()]
    if any(len(words) > 2 or words[1:] not in ([], ["asc"], ["desc"]) for words in parts):
        raise bad_request(f"Syntax error in the $orderby expression '{text}'.")
    return [(words[0], words[1:] == ["desc"]) for words in parts]
