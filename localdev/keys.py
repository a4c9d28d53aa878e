"""python3 dev.py keys new: a new entry for the setting ENCRYPTION_KEYS."""

import argparse
import secrets
import sys
from datetime import UTC, datetime

from shared.sealing import new_key

_ROTATION = """\
To rotate while the app runs (docs/security.md says how long each step takes):
  1. put the new entry last:      ENCRYPTION_KEYS=<old>,<new>     every instance can open what it seals
  2. put the new entry first:     ENCRYPTION_KEYS=<new>,<old>     it seals from now on
  3. take the old entry away:     ENCRYPTION_KEYS=<new>
A key that was taken away too early makes people `unreadable`; they recover when it is back.
"""


def made(now: datetime) -> str:
    """Makes `<key id>:<key>`. The id contains the date; two keys of one day have different ids."""
    return new_key(f"k{now:%Y%m%d}-{secrets.token_hex(2)}")


def main(arguments: list[str] | None = None) -> int:
    """Prints only the key to stdout, so that it can be piped into a vault."""
    parser = argparse.ArgumentParser(
        prog="dev.py keys", epilog=_ROTATION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["new"], help="print a new entry for ENCRYPTION_KEYS")
    parser.parse_args(arguments)
    print(made(datetime.now(UTC)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
