"""`python -m desktop`."""

import io
import sys

from desktop.main import main

if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal can't show is no failure
sys.exit(main(sys.argv[1:]))
