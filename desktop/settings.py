"""The desktop client's settings, from options and environment. The only reader of the environment; options win."""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from msal.authority import WELL_KNOWN_AUTHORITY_HOSTS

from desktop.failures import usage
from shared.settings_parsers import authority_url, https_url

GRAPH_SCOPES = ("User.Read",)
_API_URL = "http://localhost:7071"
_GRAPH_URL = "https://graph.microsoft.com"


@dataclass(frozen=True, kw_only=True)
class DesktopSettings:
    """The settings. URLs have no trailing slash.

    Attributes:
        api_scope: in full, api://<client id of the web app>/access_as_user; "" when it is not set.
        plain_text: keep the tokens unencrypted, in a file that only this user can read.
        broker: sign in through the operating system's broker.
        ca_bundle: PEM file of certificate authorities to trust, or "" for the usual ones.
    """

    client_id: str
    authority: str
    api_url: str
    api_scope: str
    graph_url: str
    cache_file: Path
    plain_text: bool = False
    broker: bool = False
    ca_bundle: str = ""

    @property
    def microsoft_host(self) -> bool:
        """Is the authority one of Microsoft's hosts? Only for those MSAL can look up aliases."""
        return urlsplit(self.authority).hostname in WELL_KNOWN_AUTHORITY_HOSTS

    def scopes(self, *, graph: bool) -> list[str]:
        """The scopes to ask for: Graph's, or the API's. Raises Failed when API_SCOPE is needed and not set in full."""
        if graph:
            return list(GRAPH_SCOPES)
        if "/" not in self.api_scope:
            raise usage(
                "API_SCOPE is missing or not in full.", "Set it to api://<client id of the web app>/access_as_user."
            )
        return [self.api_scope]


def read_settings(options: argparse.Namespace, environ: Mapping[str, str]) -> DesktopSettings:
    """The settings. Raises Failed when one is missing or malformed."""

    def value(option: str, name: str, default: str = "") -> str:
        return str(getattr(options, option, None) or environ.get(name, "").strip() or default)

    plain_text = bool(getattr(options, "plain_text_cache", False)) or _on(environ, "UNDERSTUDY_PLAIN_TEXT_CACHE")
    cache = value("cache", "UNDERSTUDY_CACHE")
    try:
        return DesktopSettings(
            client_id=_required(value("client_id", "DESKTOP_CLIENT_ID"), "DESKTOP_CLIENT_ID", "this client's ID"),
            authority=authority_url(_required(value("authority", "AUTHORITY"), "AUTHORITY", "https://<host>/<tenant>")),
            api_url=https_url(value("api_url", "API_URL", _API_URL)),
            api_scope=value("api_scope", "API_SCOPE"),
            graph_url=https_url(value("graph_url", "GRAPH_URL", _GRAPH_URL)),
            cache_file=Path(cache).expanduser() if cache else default_cache(environ, plain_text=plain_text),
            plain_text=plain_text,
            broker=bool(getattr(options, "broker", False)) or _on(environ, "UNDERSTUDY_BROKER"),
            ca_bundle=environ.get("REQUESTS_CA_BUNDLE", "") or environ.get("SSL_CERT_FILE", ""),
        )
    except ValueError as error:
        raise usage(f"A setting is malformed: {error}.", "Correct AUTHORITY, API_URL or GRAPH_URL.") from error


def default_cache(environ: Mapping[str, str], *, plain_text: bool, platform: str = sys.platform) -> Path:
    """The token cache's place in this user's folder. Encrypted and plain-text caches have different names."""
    name = "tokens.json" if plain_text else "tokens.bin"
    home = Path(environ.get("HOME") or Path.home())
    if platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "Understudy" / name
    if platform == "darwin":
        return home / "Library" / "Application Support" / "Understudy" / name
    return Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "understudy" / name


def _required(text: str, name: str, what: str) -> str:
    if not text:
        raise usage(f"{name} is missing.", f"Set it to {what}.")
    return text


def _on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() in ("1", "true", "yes")
