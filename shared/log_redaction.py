"""Keeps secrets out of every log line of this process.

A filter on the root logger sees only what is logged on the root logger itself, and a filter on its handlers misses the
handlers that come later: the Functions worker's, OpenTelemetry's. So the filter sits where every record of every logger
is made: `logging.setLogRecordFactory`. What it does not see: attributes given by `extra=` (this app gives none), and
what is written to stderr without logging.
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
# At DEBUG these write requests, responses and cache events; at WARNING what an operator wants to hear.
_CHATTY = ("azure", "msal", "urllib3")

_NAMES = (
    "access_token|refresh_token|id_token|client_secret|client_assertion|assertion|code_verifier|device_code|password"
    "|AccountKey|SharedAccessKey|SharedAccessSignature|sig|x-functions-key"
)
_PATTERNS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"(?i:(?P<header>\b(?:proxy-)?authorization|\b(?:set-)?cookie)(?P<colon>['\"]?\s*[:=]\s*))[^\r\n]+",
    rf"(?i:(?P<name>\b(?:{_NAMES})['\"]?\s*[=:]\s*['\"]?))[^\s'\"&,;}}]+",
    r"(?i:(?P<code>\bcode['\"]?\s*[=:]\s*['\"]?))[^\s'\"&,;}]{20,}",
    r"(?i:(?P<scheme>\b(?:bearer|basic|sharedkey(?:lite)?)\s+))[A-Za-z0-9._~+/=:-]{20,}",
    r"\beyJ[\w-]{8,}\.[\w.-]+",
    r"(?<![\w-])[\w-]{60,}",  # refresh tokens, codes, cookies: nothing that anybody reads is so long without a break
)
_KEPT = ("header", "colon", "name", "code", "scheme")
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class Redactor:
    """Finds secrets in text: by their shape, by the name before them, and these very ones.

    Args:
        secrets: known values, such as the client secret.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Further known values, as they are and percent-encoded; those of a few characters would hit plain words."""
        long = {each for each in secrets if len(each) >= _SHORTEST_SECRET}
        self._secrets |= long | {quote(each, safe="") for each in long}
        known = (re.escape(each) for each in sorted(self._secrets, key=len, reverse=True))
        self._pattern = re.compile("|".join([*known, *_PATTERNS]), re.ASCII | re.DOTALL)

    def __call__(self, text: str) -> str:
        """The text without secrets. Names in front of them stay."""
        return self._pattern.sub(_without_secret, text)


class RedactingFactory:
    """Makes log records that hold no secret and no forged line.

    Args:
        make: the factory that was there before.
    """

    def __init__(self, make: Any, redactor: Redactor) -> None:
        self._make = make
        self.redactor = redactor

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """See logging.setLogRecordFactory."""
        record: logging.LogRecord = self._make(*args, **kwargs)
        self._clean_message(record)
        if record.stack_info:
            record.stack_info = self.redactor(record.stack_info)
        if record.exc_info:
            self._clean_exception(record)
        return record

    def _clean_message(self, record: logging.LogRecord) -> None:
        """Handlers that group lines by their template keep it, unless the line held something."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - logging would print the arguments to stderr, secrets and all
            record.msg, record.args = f"a log message of {record.name} could not be put together", None
            return
        clean = self.redactor(_on_one_line(message, record) if record.args else message)
        if clean != message:
            record.msg, record.args = clean, None

    def _clean_exception(self, record: logging.LogRecord) -> None:
        """A traceback with a secret goes on as clean text only: handlers would print the exception itself."""
        assert record.exc_info
        text = logging.Formatter().formatException(record.exc_info)
        clean = self.redactor(text)
        if clean != text:
            record.exc_info, record.exc_text = None, clean


def install(settings: Settings) -> None:
    """From now on, no log line of this process holds a secret. A second call adds what its settings hold."""
    factory = logging.getLogRecordFactory()
    if isinstance(factory, RedactingFactory):
        factory.redactor.learn(secrets_of(settings))
        return
    logging.setLogRecordFactory(RedactingFactory(factory, Redactor(secrets_of(settings))))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def secrets_of(settings: Settings) -> set[str]:
    """Every secret in the settings: the values marked so, the keys inside connection strings, the encryption keys."""
    values = {str(getattr(settings, each.name)) for each in fields(Settings) if each.metadata.get("secret")}
    parts = {part.partition("=")[2] for value in values if "AccountName=" in value for part in value.split(";")}
    named = {part for part in parts if len(part) >= 40 and "://" not in part}
    for key in settings.key_ring.keys.values():
        named |= {base64.urlsafe_b64encode(key).decode().rstrip("="), base64.b64encode(key).decode(), key.hex()}
    return values | named


def _on_one_line(message: str, record: logging.LogRecord) -> str:
    """An argument can't begin a new line, nor steer a terminal."""
    if _CONTROL.search(str(record.msg)):
        return message
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", message)


def _without_secret(found: re.Match[str]) -> str:
    return "".join(found[name] or "" for name in _KEPT) + REDACTED
