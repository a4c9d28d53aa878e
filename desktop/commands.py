"""What each command does."""

import argparse
import base64
import getpass
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TextIO

import requests
from msal.exceptions import MsalServiceError

from desktop import device_code, password
from desktop.api import Calls
from desktop.client import Client, Token
from desktop.console import Console
from desktop.failures import Failed, usage
from desktop.interactive import Interactive, OpenBrowser
from desktop.lock import LockBusy
from desktop.settings import DesktopSettings
from shared.clients.answers import Unavailable
from shared.clients.http import HttpClient


def run(
    options: argparse.Namespace,
    settings: DesktopSettings,
    console: Console,
    *,
    stdin: TextIO,
    open_browser: OpenBrowser | None = None,
) -> None:
    """Runs `options.command`. Raises Failed."""
    commands = _Commands(options, settings, console, stdin, open_browser)
    by_name: dict[str, Callable[[], None]] = {
        "login": commands.login,
        "me": commands.me,
        "withdraw": commands.withdraw,
        "accounts": commands.accounts,
        "logout": commands.logout,
        "token": commands.token,
    }
    try:
        by_name[options.command]()
    except requests.RequestException as error:
        raise Failed("unreachable") from error
    except Unavailable as error:
        raise Failed("unparsable") from error
    except MsalServiceError as error:
        raise Failed("service_failed") from error
    except json.JSONDecodeError as error:  # MSAL does not catch it
        raise Failed("unparsable") from error
    except LockBusy as error:
        raise Failed("cache_busy") from error


@dataclass(frozen=True)
class _Commands:
    options: argparse.Namespace
    settings: DesktopSettings
    console: Console
    stdin: TextIO
    open_browser: OpenBrowser | None

    def login(self) -> None:
        """Signs in: silently if possible, else by the chosen flow."""
        self._check_options()
        scopes = [self.options.scope] if self.options.scope else self.settings.scopes(graph=self.options.graph)
        token = self._acquire_silently(scopes) or self._acquire_by_flow(scopes)
        how = "still signed in" if token.silent else "signed in"
        content = _facts(token) | {"silent": token.silent}
        self.console.show_result(content, [f"{token.username} is {how}, until {_time(token.expires_at)}."])

    def me(self) -> None:
        """Shows the profile."""
        account = self._account()
        if self.options.graph:
            profile = self._calls.graph_profile(account)
            self.console.show_result(profile, _lines(profile))
            return
        answer = self._calls.profile(account)
        background = answer.get("background", {})
        lines = [*_lines(answer.get("profile", {})), f"background work: {background.get('state', 'unknown')}"]
        self.console.show_result(answer, lines)

    def withdraw(self) -> None:
        """Ends the background work."""
        account = self._account()
        self._calls.withdraw(account)
        name = account["username"] if account else ""
        words = (
            f"The app has deleted what it stored for {name}. Another call of the API starts the background work again."
        )
        self.console.show_result({"withdrawn": name}, [words])

    def accounts(self) -> None:
        """Shows who is signed in here."""
        found = [
            {"username": each["username"], "home_account_id": each["home_account_id"], "tenant": each.get("realm", "")}
            for each in self._client.accounts()
        ]
        lines = [each["username"] for each in found] or ["Nobody is signed in."]
        self.console.show_result({"accounts": found}, lines)

    def logout(self) -> None:
        """Deletes the tokens of one account, or of all, on this machine."""
        named = self._client.account(self.options.account) if self.options.account else None
        if self.options.account and named is None:
            raise usage(f"{self.options.account} is not signed in here.", "See: python -m desktop accounts.")
        gone = [named] if named else self._client.accounts()
        for each in gone:
            self._client.msal.remove_account(each)
        names = [each["username"] for each in gone]
        words = f"Forgot {', '.join(names)} on this machine." if names else "Nobody was signed in."
        note = "The app's background work goes on; `python -m desktop withdraw` ends it." if names else ""
        self.console.show_result({"forgotten": names}, [f"{words} {note}".strip()])

    def token(self) -> None:
        """Shows facts about an access token."""
        scopes = self.settings.scopes(graph=self.options.graph)
        token = self._client.acquire_silently(scopes, self._account())
        shown = {"access_token": token.text} if self.options.show else {}
        lines = [f"{token.username}, until {_time(token.expires_at)}: {' '.join(token.scopes)}", *shown.values()]
        self.console.show_result(_facts(token) | shown, lines)

    @cached_property
    def _client(self) -> Client:
        return Client(self.settings)

    @cached_property
    def _calls(self) -> Calls:
        return Calls(self._client, HttpClient(ca_bundle=self.settings.ca_bundle, pool_size=1))

    def _account(self) -> dict[str, Any] | None:
        return self._client.account(self.options.account)

    def _check_options(self) -> None:
        """Raises Failed for options of another flow: ignoring them would hide a mistake."""
        options, flow = self.options, self.options.flow
        browser = options.prompt or options.login_hint or options.extra_scopes_to_consent
        if browser and flow != "interactive":
            raise usage(
                "--prompt, --login-hint and --extra-scopes-to-consent are for --flow interactive.", "Drop them."
            )
        by_name = options.username or options.password_stdin
        if by_name and flow != "username-password":
            raise usage("--username and --password-stdin are for --flow username-password.", "Drop them.")
        if flow == "username-password" and not options.username:
            raise usage("--flow username-password needs a user name.", "Add --username.")

    def _acquire_silently(self, scopes: list[str]) -> Token | None:
        """A silent token. None when there is none, or when the options ask for a sign-in."""
        if self.options.prompt or self.options.claims:
            return None
        name = self.options.login_hint or self.options.username
        if not name and len(self._client.accounts()) != 1:
            return None
        account = self._client.account(name)
        try:
            return self._client.acquire_silently(scopes, account) if account else None
        except Failed:
            return None

    def _acquire_by_flow(self, scopes: list[str]) -> Token:
        app, claims = self._client.msal, _claims(self.options.claims)
        if self.options.flow == "device-code":
            result = device_code.sign_in(app, scopes, self.console, claims=claims)
        elif self.options.flow == "username-password":
            secret = self._read_password()
            name = self.options.username
            result = password.sign_in(app, scopes, self.console, username=name, password=secret, claims=claims)
        else:
            interactive = Interactive(
                prompt=self.options.prompt,
                login_hint=self.options.login_hint,
                extra_scopes=tuple(self.options.extra_scopes_to_consent),
                claims=claims,
                seconds=self.options.timeout,
                open_browser=self.open_browser,
            )
            result = interactive.sign_in(app, scopes, self.console)
        who = result.get("id_token_claims", {}).get("preferred_username", "")
        return self._client.token_from(result, str(who), scopes)

    def _read_password(self) -> str:
        if self.options.password_stdin:
            return self.stdin.readline().rstrip("\r\n")
        return getpass.getpass(f"Password of {self.options.username}: ", self.console.err)


def _claims(text: str) -> str:
    """A claims challenge as JSON text, from JSON or base64 of it. Raises Failed."""
    if not text:
        return ""
    try:
        plain = text if text.startswith("{") else base64.b64decode(text.encode(), validate=True).decode()
        if isinstance(json.loads(plain), dict):
            return plain
    except ValueError:
        pass
    raise usage("--claims is neither a JSON object nor base64 of one.", "Copy it from WWW-Authenticate.")


def _facts(token: Token) -> dict[str, Any]:
    return {
        "username": token.username,
        "expires_at": token.expires_at.isoformat(timespec="seconds"),
        "scopes": list(token.scopes),
    }


def _lines(profile: dict[str, Any]) -> list[str]:
    return [f"{name}: {value}" for name, value in profile.items() if value and not name.startswith("@")]


def _time(moment: datetime) -> str:
    left = int((moment - datetime.now(UTC)).total_seconds() // 60)
    return f"{moment.astimezone():%H:%M} (in {left} min)"
