"""host.json and local.settings.json (learn.microsoft.com: host.json reference for Azure Functions)."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localdev.host.errors import ConfigError, UnresolvedSettingError

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 10,
}
_TIMESPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d{1,7})?))?")
_PLACEHOLDER = re.compile(r"%([^%]+)%")


@dataclass(frozen=True)
class QueueOptions:
    """`extensions.queues`. Times are in seconds."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    visibility_timeout: float = 0.0
    max_dequeue_count: int = 5
    # Azure's default is one minute; in development the real host uses two seconds, too.
    max_polling_interval: float = 2.0
    base64: bool = True


@dataclass(frozen=True)
class HostConfig:
    """The values of host.json that the local host uses. It ignores the rest of the file."""

    route_prefix: str = "api"
    queues: QueueOptions = field(default_factory=QueueOptions)
    log_level: int = logging.INFO

    @classmethod
    def load(cls, folder: Path) -> "HostConfig":
        """Read host.json from `folder`. Without that file all values are the defaults.

        Raises:
            ConfigError: The file is not JSON, is not of version 2.0, or has a value that the host can't use.
        """
        file = folder / "host.json"
        if not file.exists():
            return cls()
        return cls.parse(_read_object(file), file=file)

    @classmethod
    def parse(cls, content: Mapping[str, Any], *, file: Path | None = None) -> "HostConfig":
        """Read the values from host.json's content. Raises ConfigError."""
        if content.get("version") != "2.0":
            raise ConfigError('host.json needs "version": "2.0"', file=file)
        reader = _Section(content, "", file)
        extensions = reader.section("extensions")
        level = reader.section("logging").section("logLevel").text("default", "Information")
        if level.lower() not in _LEVELS:
            raise ConfigError(f"logging.logLevel.default: '{level}' is not a log level", file=file)
        return cls(
            route_prefix=extensions.section("http").text("routePrefix", "api").strip("/"),
            queues=_queue_options(extensions.section("queues")),
            log_level=_LEVELS[level.lower()],
        )


@dataclass(frozen=True)
class _Section:
    """One object of host.json, with its dotted name for error messages."""

    content: Mapping[str, Any]
    name: str
    file: Path | None

    def section(self, key: str) -> "_Section":
        value = self.content.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong(key, "an object")
        return _Section(value, f"{self.name}{key}.", self.file)

    def text(self, key: str, default: str) -> str:
        value = self.content.get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, "a text")
        return value

    def whole(self, key: str, default: int, *, low: int, high: int) -> int:
        value = self.content.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, f"a whole number from {low} to {high}")
        return value

    def seconds(self, key: str, default: float) -> float:
        value = self.content.get(key)
        if value is None:
            return default
        found = _TIMESPAN.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            raise self._wrong(key, "a time span, hours:minutes:seconds")
        days, hours, minutes, rest = (float(part or 0) for part in found.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + rest

    def _wrong(self, key: str, expected: str) -> ConfigError:
        return ConfigError(f"{self.name}{key} must be {expected}", file=self.file)


def _queue_options(section: _Section) -> QueueOptions:
    plain = QueueOptions()
    encoding = section.text("messageEncoding", "base64").lower()
    if encoding not in ("base64", "none"):
        raise ConfigError("extensions.queues.messageEncoding must be 'base64' or 'none'", file=section.file)
    batch_size = section.whole("batchSize", plain.batch_size, low=1, high=32)
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=section.whole("newBatchThreshold", batch_size // 2, low=0, high=1000),
        visibility_timeout=section.seconds("visibilityTimeout", plain.visibility_timeout),
        max_dequeue_count=section.whole("maxDequeueCount", plain.max_dequeue_count, low=1, high=1000),
        max_polling_interval=max(0.1, section.seconds("maxPollingInterval", plain.max_polling_interval)),
        base64=encoding == "base64",
    )


def load_settings(file: Path) -> dict[str, str]:
    """Read `Values` of a local.settings.json. Without that file there are none.

    Raises:
        ConfigError: The file is not JSON, is encrypted, or has a value that is not a text.
    """
    if not file.exists():
        return {}
    content = _read_object(file)
    if content.get("IsEncrypted"):
        raise ConfigError("the settings are encrypted; run 'func settings decrypt' first", file=file)
    values = content.get("Values", {})
    if not isinstance(values, dict):
        raise ConfigError("Values must be an object", file=file)
    for name, value in values.items():
        if not isinstance(value, str):
            raise ConfigError(f"Values.{name} must be a text, in quotes", file=file)
    return values


def load_port(file: Path) -> int | None:
    """`Host.LocalHttpPort` of a local.settings.json; None when it is not set."""
    section = _read_object(file).get("Host") if file.exists() else None
    port = section.get("LocalHttpPort") if isinstance(section, dict) else None
    return port if isinstance(port, int) else None


def is_disabled(function: str, settings: Mapping[str, str]) -> bool:
    """Whether the app setting AzureWebJobs.<function>.Disabled is true."""
    return settings.get(f"AzureWebJobs.{function}.Disabled", "").lower() in ("true", "1")


def resolve(text: str, settings: Mapping[str, str], *, function: str) -> str:
    """Replace each %SETTING% with its value.

    Raises:
        UnresolvedSettingError: A setting has no value.
    """

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in settings:
            raise UnresolvedSettingError(name, function=function)
        return settings[name]

    return _PLACEHOLDER.sub(value, text)


def _read_object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ConfigError(f"not valid JSON: {error}", file=file) from error
    if not isinstance(content, dict):
        raise ConfigError("must hold a JSON object", file=file)
    return content
