"""Keeps secrets out of every log line of this process.

A filter on the root logger sees only records of that logger, and a filter on its handlers misses handlers that are
added later: the Functions worker's, OpenTelemetry's. So records are cleaned where all of them are made, by
`logging.setLogRecordFactory`. Not cleaned are attributes from `extra=` (this app has none), and what is written to
stderr without logging.
"""

import base64
import logging
import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any
from urllib.parse import quote

from shared.settings import Settings

REDACTED = "[redacted]"
_SHORTEST_SECRET = 8
# Below WARNING these log requests, responses and cache events.
_CHATTY = ("azure", "msal", "urllib3")

# A name may stand in a query, in JSON, in JSON inside another text (backslashes before quotes; `\u0022`, `\u0026` and
# `\u003d` as .NET writes them), or percent-encoded, more than once even (`%3D`, `%253D`), backslashes too (`%5C%22`).
_START = r"(?:\b|(?<=%[0-9A-F]{2})|(?<=25[0-9A-F]{2})|(?<=\\[nrt])|(?<=\\u[0-9A-F]{4}))"
_QUOTE = r"(?:\\*(?:['\"]|\\u002[27])|(?:%(?:25)*5C)*%(?:25)*2[27])?"
_GAP = r"(?:\s|\+|%(?:25)*20)*"
_ASSIGNED = rf"{_QUOTE}{_GAP}(?:[=:]|\\+u003d|%(?:25)*3[AD]){_GAP}{_QUOTE}"
_NAMES = (
    "access_token|refresh_token|id_token|client_secret|client_assertion|assertion|code_verifier|device_code|password"
    "|AccountKey|SharedAccessKey|SharedAccessSignature|sig|x-functions-key"
)
_PATTERNS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    rf"(?i:(?P<header>{_START}(?:(?:proxy-)?authorization|(?:set-)?cookie){_ASSIGNED}))[^\r\n]+",
    rf"(?i:(?P<name>{_START}(?:{_NAMES}){_ASSIGNED}))[^\s'\"&,;}}]+",
    rf"(?i:(?P<code>{_START}code{_ASSIGNED}))[^\s'\"&,;}}]{{20,}}",
    rf"(?i:(?P<scheme>{_START}(?:bearer|basic|sharedkey(?:lite)?)(?:\s|\+|%(?:25)*20)+))[A-Za-z0-9._~+/=:%-]{{20,}}",
    r"(?:\b|(?<=%[0-9A-Fa-f]{2}))eyJ[\w-]{8,}\.[\w.-]+",
    r"(?<![\w-])[\w-]{60,}",  # refresh tokens, codes, cookies: no plain word is so long
)
_KEPT = ("header", "name", "code", "scheme")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class Redactor:
    """Removes secrets from text: known values, and whatever has a secret's shape or a secret's name in front.

    Args:
        secrets: the known values, such as the client secret.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Adds known values, plain and percent-encoded. Short ones are left out: they would match plain words."""
        long = {each for each in secrets if len(each) >= _SHORTEST_SECRET}
        self._secrets |= long | {quote(each, safe="") for each in long}
        known = (re.escape(each) for each in sorted(self._secrets, key=len, reverse=True))
        self._pattern = re.compile("|".join([*known, *_PATTERNS]), re.ASCII | re.DOTALL)

    def __call__(self, text: str) -> str:
        """The text without secrets. Names in front of them stay."""
        return self._pattern.sub(lambda found: "".join(found[name] or "" for name in _KEPT) + REDACTED, text)


class RedactingFactory:
    """Makes log records that hold no secret and no forged line.

    An argument can't begin a new line, nor steer a terminal. A traceback with a secret is kept as clean text only.

    Args:
        make: the factory that was installed before.
    """

    def __init__(self, make: Any, redactor: Redactor) -> None:
        self._make = make
        self.redactor = redactor

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """See logging.setLogRecordFactory."""
        record: logging.LogRecord = self._make(*args, **kwargs)
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - logging would print the arguments to stderr, secrets and all
            record.msg, record.args = f"a log message of {record.name} could not be put together", None
        else:
            one_line = message
            if not _CONTROL.search(str(record.msg)):
                one_line = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", message)
            clean = self.redactor(one_line)
            if clean != message:  # else the template stays: some handlers group lines by it
                record.msg, record.args = clean, None
        if record.stack_info:
            record.stack_info = self.redactor(record.stack_info)
        if record.exc_info:
            text = logging.Formatter().formatException(record.exc_info)
            clean = self.redactor(text)
            if clean != text:
                record.exc_info, record.exc_text = None, clean
        return record


def install(settings: Settings) -> None:
    """Redacts all log records of this process from now on. Another call adds the secrets of its settings."""
    factory = logging.getLogRecordFactory()
    if isinstance(factory, RedactingFactory):
        factory.redactor.learn(secrets_of(settings))
        return
    logging.setLogRecordFactory(RedactingFactory(factory, Redactor(secrets_of(settings))))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def secrets_of(settings: Settings) -> set[str]:
    """All secrets in the settings: the values marked as secret, the keys in connection strings, the encryption keys."""
    values = {str(getattr(settings, each.name)) for each in fields(Settings) if each.metadata.get("secret")}
    parts = {part.partition("=")[2] for value in values if "AccountName=" in value for part in value.split(";")}
    named = {part for part in parts if len(part) >= 40 and "://" not in part}
    for key in settings.key_ring.keys.values():
        named |= {base64.urlsafe_b64encode(key).decode().rstrip("="), base64.b64encode(key).decode(), key.hex()}
    return values | named
