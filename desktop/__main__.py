"""`python -m desktop`."""

import io
import sys

if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal can't show is no failure
try:
    from desktop.main import main
except KeyboardInterrupt:  # MSAL and its dependencies take long to import
    from desktop.arguments import wants_json
    from desktop.console import Console
    from desktop.failures import report_cancelled

    sys.exit(report_cancelled(Console(sys.stdout, sys.stderr, as_json=wants_json(sys.argv[1:]))))
sys.exit(main(sys.argv[1:]))
