"""Runs one command: reads its options and settings, and gives its exit code.

0 done; 1 failed, or ended by Ctrl+C; 2 the command, an option or a setting is wrong; 3 a person has to sign in first.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from desktop import commands
from desktop.arguments import parser, wants_json
from desktop.console import Console
from desktop.failures import Failed, report, report_cancelled
from desktop.interactive import OpenBrowser
from desktop.settings import read_settings


def main(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    streams: tuple[TextIO, TextIO, TextIO] | None = None,
    open_browser: OpenBrowser | None = None,
) -> int:
    """Runs one command and returns its exit code.

    Args:
        environ: the settings; the process's environment when None.
        streams: stdin, stdout, stderr; the process's when None.
        open_browser: opens a URL for an interactive sign-in; the system's browser when None.
    """
    stdin, out, err = streams or (sys.stdin, sys.stdout, sys.stderr)
    console = Console(out, err, as_json=wants_json(argv))
    try:
        options = parser().parse_args(argv)
        settings = read_settings(options, os.environ if environ is None else environ)
        commands.run(options, settings, console, stdin=stdin, open_browser=open_browser)
    except SystemExit:  # argparse has shown the help
        return 0
    except Failed as failed:
        return report(failed, console)
    except KeyboardInterrupt:
        return report_cancelled(console)
    return 0
