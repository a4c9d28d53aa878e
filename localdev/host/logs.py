"""Log lines on stderr: time, level, function, message."""

import logging
import sys
import time

from localdev.host.invocation import current_function

# It writes a line, with addresses, for every call to storage: the pollers' own as well.
_CHATTY = "azure.core.pipeline.policies.http_logging_policy"


class _FunctionName(logging.Filter):
    """Adds the name of the function whose invocation logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.function = current_function.get() or "host"
        return True


def configure(level: int) -> None:
    """Send all logging to stderr, from `level` (host.json's) on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_FunctionName())
    formatter = logging.Formatter("[%(asctime)s.%(msecs)03dZ] %(levelname)s %(function)s: %(message)s", "%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger(_CHATTY).setLevel(max(level, logging.WARNING))
