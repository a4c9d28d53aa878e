"""Log lines: time, level, function, message. What the real host drops is dropped."""

import logging
import sys
import time
from typing import TextIO

from localdev.host.invocation import executing_function

# In Azure these are the host's own; they don't come from the worker and are never dropped.
_HOSTS_OWN = ("localdev", "uvicorn", "asyncio")
# It writes a line, with addresses, for every call to storage: the pollers' own as well.
_CHATTY = "azure.core.pipeline.policies.http_logging_policy"


def configure(level: int) -> None:
    """Send all logging to stderr, from `level` (host.json's) on."""
    root = logging.getLogger()
    root.handlers[:] = [handler(sys.stderr)]
    root.setLevel(level)
    logging.getLogger(_CHATTY).setLevel(max(level, logging.WARNING))


def handler(stream: TextIO) -> logging.Handler:
    """A handler that writes one line per record to `stream`, without the records that the real host would drop.

    Of a worker's records the host takes those whose invocation id is executing (azure-functions-host,
    GrpcWorkerChannel.cs, `Log`).
    """
    made = logging.StreamHandler(stream)
    made.addFilter(_of_an_invocation)
    formatter = logging.Formatter("[%(asctime)s.%(msecs)03dZ] %(levelname)s %(function)s: %(message)s", "%H:%M:%S")
    formatter.converter = time.gmtime
    made.setFormatter(formatter)
    return made


def _of_an_invocation(record: logging.LogRecord) -> bool:
    function = executing_function()
    record.function = function or "host"
    return function is not None or record.name.partition(".")[0] in _HOSTS_OWN
