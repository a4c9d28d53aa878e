"""The command line: reads options, runs one command, ends with its exit code.

0 done; 1 failed; 2 the command, an option or a setting makes no sense; 3 a person has to sign in first.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from desktop import commands
from desktop.console import Console
from desktop.failures import FAILED, Failed
from desktop.interactive import OpenBrowser
from desktop.settings import read

PROMPTS = ("select_account", "consent", "login", "none")
FLOWS = ("interactive", "device-code", "username-password")


def main(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    streams: tuple[TextIO, TextIO, TextIO] | None = None,
    open_browser: OpenBrowser | None = None,
) -> int:
    """Runs one command and gives its exit code.

    Args:
        environ: settings; the process's environment when None.
        streams: stdin, stdout, stderr; the process's own when None.
        open_browser: opens a URL for interactive sign-ins, instead of the system's browser.
    """
    stdin, out, err = streams or (sys.stdin, sys.stdout, sys.stderr)
    try:
        options = parser().parse_args(argv)
    except SystemExit as stop:  # argparse has said why: 2, or 0 after --help
        return int(stop.code or 0)
    console = Console(out, err, as_json=getattr(options, "json", False))
    try:
        settings = read(options, os.environ if environ is None else environ)
        commands.run(options, settings, console, stdin=stdin, open_browser=open_browser)
    except Failed as failed:
        _report(failed, console)
        return failed.exit_code
    except KeyboardInterrupt:
        console.progress("")
        console.event("cancelled", {}, "Cancelled.")
        return FAILED
    return 0


def parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    common = _common()
    top = argparse.ArgumentParser(prog="python -m desktop", description=__doc__, parents=[common])
    verbs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _login(verbs.add_parser("login", parents=[common], help="sign in: silently if that will do, else by the flow"))
    me = verbs.add_parser("me", parents=[common], help="show my profile, by the app's API")
    me.add_argument("--graph", action="store_true", help="ask Microsoft Graph directly")
    _account(me)
    _account(verbs.add_parser("withdraw", parents=[common], help="end the background work and delete what is stored"))
    verbs.add_parser("accounts", parents=[common], help="who is signed in on this machine")
    _account(verbs.add_parser("logout", parents=[common], help="forget one account, or all, on this machine"))
    token = verbs.add_parser("token", parents=[common], help="show expiry and scopes of an access token")
    token.add_argument("--graph", action="store_true", help="of the one for Microsoft Graph")
    token.add_argument("--show", action="store_true", help="the token itself too; whoever has it is you")
    _account(token)
    return top


def _login(login: argparse.ArgumentParser) -> None:
    login.add_argument("--flow", choices=FLOWS, default="interactive")
    login.add_argument("--graph", action="store_true", help="for Microsoft Graph instead of the app's API")
    login.add_argument("--scope", help="another scope than API_SCOPE")
    login.add_argument("--prompt", choices=PROMPTS, default="", help="interactive: what the tenant should ask")
    login.add_argument("--login-hint", default="", metavar="USERNAME", help="interactive: who will sign in")
    login.add_argument(
        "--extra-scopes-to-consent", nargs="+", default=[], metavar="SCOPE", help="interactive: agree to these too"
    )
    login.add_argument("--username", default="", help="username-password: who signs in")
    login.add_argument(
        "--password-stdin", action="store_true", help="username-password: read it from stdin instead of a prompt"
    )
    login.add_argument(
        "--claims", default="", help="a claims challenge, as WWW-Authenticate or another command says it"
    )
    login.add_argument("--timeout", type=int, default=300, metavar="SECONDS", help="interactive: how long to wait")


def _account(command: argparse.ArgumentParser) -> None:
    command.add_argument("--account", default="", metavar="USERNAME", help="when several are signed in")


def _common() -> argparse.ArgumentParser:
    """Options that stand before or after the command."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--json", action="store_true", help="one JSON object on stdout")
    common.add_argument("--client-id", help="DESKTOP_CLIENT_ID: this client's registration")
    common.add_argument("--authority", help="AUTHORITY: https://<host>/<tenant>")
    common.add_argument("--api-url", help="API_URL: where the app is (http://localhost:7071)")
    common.add_argument("--api-scope", help="API_SCOPE: api://<client id of the app>/access_as_user")
    common.add_argument("--graph-url", help="GRAPH_URL: Microsoft Graph of a national cloud")
    common.add_argument("--cache", metavar="FILE", help="UNDERSTUDY_CACHE: the token cache")
    common.add_argument(
        "--plain-text-cache", action="store_true", help="UNDERSTUDY_PLAIN_TEXT_CACHE=1: tokens unencrypted, mode 0600"
    )
    common.add_argument(
        "--broker", action="store_true", help="UNDERSTUDY_BROKER=1: by the system's broker, where there is one"
    )
    return common


def _report(failed: Failed, console: Console) -> None:
    if console.as_json:
        console.result(failed.as_json(), [])
    else:
        console.event("failed", {}, failed.line())
