"""The timer, and the queue that spreads a sweep over many instances."""

import azure.functions as func

from shared import telemetry
from shared.services import services
from shared.sweep_queue import SWEEP_SLOTS
from timer_worker import sweep

blueprint = func.Blueprint()


@blueprint.function_name("sweep")
@blueprint.timer_trigger("timer", schedule="%SWEEP_SCHEDULE%", run_on_startup=False, use_monitor=True)
def tick(timer: func.TimerRequest, context: func.Context) -> None:  # noqa: ARG001 - the worker passes it by name
    """Looks who is due and sweeps them, or puts one message per due slot on the queue."""
    with telemetry.log_as(context):
        sweep.run_tick(services())


@blueprint.function_name("sweep_slot")
@blueprint.queue_trigger("message", queue_name=SWEEP_SLOTS, connection="AzureWebJobsStorage")
def sweep_slot(message: func.QueueMessage, context: func.Context) -> None:
    """Sweeps one slot; always registered, so that instances with either setting share the work."""
    with telemetry.log_as(context):
        sweep.sweep_slot(message.get_body().decode("utf-8", errors="replace"), services())
