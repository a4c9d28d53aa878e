"""A person's own profile and photo. Microsoft's pages "Get a user" and "Get profilePhoto"."""

from starlette.responses import JSONResponse, Response

from localdev.graph.endpoint import Call
from localdev.graph.errors import GraphError
from localdev.graph.photo import portrait

_DEFAULT_FIELDS = (
    "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation",
    "preferredLanguage", "surname", "userPrincipalName", "id",
)  # fmt: skip


def get_me(call: Call) -> Response:
    """GET /me; $select is honoured."""
    everything = call.person.profile | {"id": call.person.oids.get(call.tid, call.person.subject)}
    names = [name for name in call.query("$select").split(",") if name] or _DEFAULT_FIELDS
    lower = {name.lower(): name for name in everything}
    found = {lower[name.lower()]: everything[lower[name.lower()]] for name in names if name.lower() in lower}
    return JSONResponse({"@odata.context": f"{call.root}/$metadata#users/$entity"} | found)


def get_photo(call: Call) -> Response:
    """GET /me/photo/$value, /me/photos/{size}/$value: a PNG, or 404."""
    if not call.person.photo:
        raise GraphError(404, "ImageNotFound", "Exception of type 'ImageNotFoundException' was thrown.")
    return Response(portrait(call.person.username), media_type="image/png")
