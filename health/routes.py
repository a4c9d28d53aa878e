"""GET /healthz, /readyz."""

import azure.functions as func

from shared.monitoring.readiness import as_json
from shared.services import services
from shared.web import responses
from shared.web.error_handler import handle_errors

blueprint = func.Blueprint()


@blueprint.function_name("healthz")
@blueprint.route("healthz", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@handle_errors
def healthz(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the worker passes it by name
    """Answers as long as the process lives. No I/O, no settings: for platforms that restart dead instances."""
    return responses.as_json({"status": "ok"})


@blueprint.function_name("readyz")
@blueprint.route("readyz", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@handle_errors
def readyz(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the worker passes it by name
    """Every readiness check; 503 when one fails. Needs a function key, because each call makes requests."""
    found = as_json(services().readiness.checks())
    return responses.as_json(found, status=200 if found["ready"] else 503)
