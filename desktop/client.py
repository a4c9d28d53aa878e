"""MSAL's public client with the token cache on disk: who is signed in here, and silent tokens for them."""

import importlib.util
import logging
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import requests
from msal import PublicClientApplication

from desktop.cache import SharedTokenCache, open_cache
from desktop.failures import USAGE, Failed, usage
from desktop.http import AuthoritySession
from desktop.settings import GRAPH_SCOPES, DesktopSettings
from shared.settings_parsers import RESERVED_SCOPES

_CAPABILITIES = ["CP1"]  # we can answer claims challenges: the person is here
_BROKERS = {"win32": "enable_broker_on_windows", "darwin": "enable_broker_on_mac", "linux": "enable_broker_on_linux"}


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and facts about it.

    Attributes:
        silent: nobody had to sign in for it.
    """

    username: str
    expires_at: datetime
    scopes: tuple[str, ...]
    silent: bool
    text: str = field(repr=False)


class Client:
    """One app registration at one authority."""

    def __init__(self, settings: DesktopSettings) -> None:
        self.settings = settings
        for name in ("msal", "msal_extensions"):  # they would print warnings that are for programmers
            logging.getLogger(name).addHandler(logging.NullHandler())

    @cached_property
    def cache(self) -> SharedTokenCache:
        """The token cache on disk. Raises Failed, LockBusy."""
        return open_cache(self.settings.cache_file, plain_text=self.settings.plain_text)

    @cached_property
    def msal(self) -> Any:
        """MSAL's application. Raises Failed when the authority can't be used."""
        settings = self.settings
        broker = {_broker_option(sys.platform): True} if settings.broker else {}
        try:
            return PublicClientApplication(
                settings.client_id,
                authority=settings.authority,
                token_cache=self.cache,
                http_client=AuthoritySession(settings.authority),
                instance_discovery=None if settings.microsoft_host else False,
                client_capabilities=_CAPABILITIES,
                **broker,
            )
        except requests.RequestException as error:
            raise Failed("unreachable") from error
        except ValueError as error:  # MSAL raises it for every failure of discovery
            raise Failed("authority_unusable") from error

    def accounts(self) -> list[dict[str, Any]]:
        """Who is signed in on this machine. Whoever has no user name is called by their home account id."""
        found = self.msal.get_accounts()
        return [each | {"username": each["username"] or each["home_account_id"]} for each in found]

    def account(self, name: str = "") -> dict[str, Any] | None:
        """The account called `name` (user name or home account id), or the only one. None when there is none.

        Raises:
            Failed: the name fits several accounts.
        """
        found = [each for each in self.accounts() if not name or name.lower() in _names(each)]
        if len({each["home_account_id"] for each in found}) > 1:
            names = ", ".join(sorted(each["username"] for each in found))
            raise usage(f"Several accounts are signed in: {names}.", "Name one with --account.")
        return found[0] if found else None

    def acquire_silently(
        self, scopes: list[str], account: dict[str, Any] | None, *, claims: str = "", force: bool = False
    ) -> Token:
        """A token that nobody has to sign in for: a stored one, or a new one by the refresh token. Raises Failed."""
        if account is None:
            raise Failed("no_account", next_step=_login_for(scopes))
        try:
            result = self.msal.acquire_token_silent_with_error(
                scopes, account, claims_challenge=claims or None, force_refresh=force
            )
        except requests.RequestException as error:
            raise Failed("unreachable") from error
        if result is None:
            raise Failed("no_refresh_token", next_step=_login_for(scopes))
        return self.token_from(result, account["username"], scopes, silent=True)

    def token_from(self, result: dict[str, Any], username: str, scopes: list[str], *, silent: bool = False) -> Token:
        """The token in MSAL's result. Raises Failed when the result is an error."""
        if "access_token" not in result:
            raise Failed.from_answer(result, next_step=_login_for(scopes))
        granted = str(result.get("scope", "")).split() or self._stored_scopes(result["access_token"]) or scopes
        expires_at = datetime.now(UTC) + timedelta(seconds=int(result["expires_in"]))
        shown = tuple(each for each in granted if each not in RESERVED_SCOPES)
        return Token(username, expires_at, shown, silent, result["access_token"])

    def _stored_scopes(self, text: str) -> list[str]:
        """The scopes of a stored token. MSAL leaves them out of what it returns from the cache."""
        tokens = self.cache.search(self.cache.CredentialType.ACCESS_TOKEN)
        return next((str(each["target"]).split() for each in tokens if each["secret"] == text), [])


def _login_for(scopes: list[str]) -> str:
    """The command that gets a token for these scopes."""
    return "python -m desktop login" + (" --graph" if tuple(scopes) == GRAPH_SCOPES else "")


def _names(account: dict[str, Any]) -> tuple[str, str]:
    return str(account["username"]).lower(), str(account["home_account_id"]).lower()


def _broker_option(platform: str) -> str:
    """MSAL's option for this platform. Raises Failed where there is no broker."""
    if platform in _BROKERS and importlib.util.find_spec("pymsalruntime"):
        return _BROKERS[platform]
    raise Failed("no_broker", exit_code=USAGE)
