"""The command line: every command and option."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from desktop.failures import usage

PROMPTS = ("select_account", "consent", "login", "none")
FLOWS = ("interactive", "device-code", "username-password")
_DESCRIPTION = "Signs you in and calls the app's API. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 sign in first."


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise usage(f"{message[:1].upper()}{message[1:]}.", f"See: {self.prog} --help")


def wants_json(argv: Sequence[str]) -> bool:
    """Do the arguments hold `--json`, or an abbreviation that argparse accepts? Whatever the others are."""
    return any(len(each) > len("--") and "--json".startswith(each) for each in argv)


def parser() -> argparse.ArgumentParser:
    """Every command with its options. Its errors are Failed; --help prints and raises SystemExit."""
    common = _common_options()
    top = _Parser(prog="python -m desktop", description=_DESCRIPTION, parents=[common])
    verbs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_login_options(verbs.add_parser("login", parents=[common], help="sign in, silently if possible"))
    me = verbs.add_parser("me", parents=[common], help="show my profile, from the app's API")
    me.add_argument("--graph", action="store_true", help="ask Microsoft Graph directly")
    _add_account(me)
    _add_account(verbs.add_parser("withdraw", parents=[common], help="end the background work, delete what is stored"))
    verbs.add_parser("accounts", parents=[common], help="show who is signed in on this machine")
    _add_account(verbs.add_parser("logout", parents=[common], help="forget one account, or all, on this machine"))
    token = verbs.add_parser("token", parents=[common], help="show expiry and scopes of an access token")
    token.add_argument("--graph", action="store_true", help="for Microsoft Graph instead of the app's API")
    token.add_argument("--show", action="store_true", help="show the token too; whoever has it can act as you")
    _add_account(token)
    return top


def _add_login_options(login: argparse.ArgumentParser) -> None:
    login.add_argument("--flow", choices=FLOWS, default="interactive", help="how to sign in (default: interactive)")
    login.add_argument("--graph", action="store_true", help="for Microsoft Graph instead of the app's API")
    login.add_argument("--scope", help="a scope other than API_SCOPE")
    login.add_argument("--prompt", choices=PROMPTS, default="", help="interactive: what the tenant asks for")
    login.add_argument("--login-hint", default="", metavar="USERNAME", help="interactive: who will sign in")
    login.add_argument(
        "--extra-scopes-to-consent", nargs="+", default=[], metavar="SCOPE", help="interactive: consent to these too"
    )
    login.add_argument("--username", default="", help="username-password: the user name")
    login.add_argument(
        "--password-stdin", action="store_true", help="username-password: read it from stdin instead of a prompt"
    )
    login.add_argument(
        "--claims", default="", help="a claims challenge, copied from WWW-Authenticate or from another command"
    )
    login.add_argument("--timeout", type=int, default=300, metavar="SECONDS", help="interactive: how long to wait")


def _add_account(command: argparse.ArgumentParser) -> None:
    command.add_argument("--account", default="", metavar="USERNAME", help="which account, when several are signed in")


def _common_options() -> _Parser:
    """The options that may come before or after the command."""
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    common.add_argument("--client-id", help="DESKTOP_CLIENT_ID: this client's registration")
    common.add_argument("--authority", help="AUTHORITY: https://<host>/<tenant>")
    common.add_argument("--api-url", help="API_URL: the app's address (http://localhost:7071)")
    common.add_argument("--api-scope", help="API_SCOPE: api://<client id of the app>/access_as_user")
    common.add_argument("--graph-url", help="GRAPH_URL: Microsoft Graph in a national cloud")
    common.add_argument("--cache", metavar="FILE", help="UNDERSTUDY_CACHE: the token cache")
    common.add_argument(
        "--plain-text-cache", action="store_true", help="UNDERSTUDY_PLAIN_TEXT_CACHE=1: tokens unencrypted, mode 0600"
    )
    common.add_argument("--broker", action="store_true", help="UNDERSTUDY_BROKER=1: use the operating system's broker")
    return common
