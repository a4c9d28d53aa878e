"""host.json and local.settings.json."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from localdev.host import ConfigError, HostConfig, QueueOptions, UnresolvedSettingError, load_settings
from localdev.host.config import load_port, resolve

PROJECT = Path(__file__).parents[2]


def write(folder: Path, name: str, content: Any) -> Path:
    """Write JSON, or a text unchanged."""
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def test_absent_files_mean_the_defaults(tmp_path: Path) -> None:
    """The default prefix is `api`, as in Azure."""
    assert HostConfig.load(tmp_path) == HostConfig(route_prefix="api", log_level=logging.INFO)
    assert load_settings(tmp_path / "local.settings.json") == {}


def test_host_json_is_read(tmp_path: Path) -> None:
    """One file with every value that the local host reads."""
    queues = {
        "batchSize": 4,
        "visibilityTimeout": "00:00:30",
        "maxDequeueCount": 3,
        "maxPollingInterval": "00:00:01.500",
        "messageEncoding": "none",
    }
    content = {
        "version": "2.0",
        "extensions": {"http": {"routePrefix": "/v1/"}, "queues": queues},
        "logging": {"logLevel": {"default": "Warning"}},
    }
    write(tmp_path, "host.json", content)
    assert HostConfig.load(tmp_path) == HostConfig(
        route_prefix="v1",
        queues=QueueOptions(4, 2, 30.0, 3, 1.5, base64=False),
        log_level=logging.WARNING,
    )


def test_the_projects_own_host_json() -> None:
    """A queue message waits at most five seconds, and the host's Azure SDK logs warnings only."""
    assert HostConfig.load(PROJECT) == HostConfig(
        route_prefix="",
        queues=QueueOptions(4, 2, 30.0, 5, 5.0),
        log_level=logging.INFO,
    )
    levels = json.loads((PROJECT / "host.json").read_text("utf-8"))["logging"]["logLevel"]
    assert levels == {"default": "Information", "Azure": "Warning"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "a JSON object"),
        ({}, '"version": "2.0"'),
        ({"version": "2.0", "extensions": []}, "extensions must be an object"),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": 1}}}, "extensions.http.routePrefix must be a text"),
        ({"version": "2.0", "extensions": {"queues": {"batchSize": 33}}}, "extensions.queues.batchSize"),
        ({"version": "2.0", "extensions": {"queues": {"visibilityTimeout": "30"}}}, "a time span"),
        ({"version": "2.0", "extensions": {"queues": {"messageEncoding": "x"}}}, "messageEncoding"),
        ({"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}, "'Loud' is not a log level"),
    ],
)
def test_malformed_host_json_is_named(tmp_path: Path, content: Any, said: str) -> None:
    """The error names the file and what is wrong with it."""
    file = write(tmp_path, "host.json", content)
    with pytest.raises(ConfigError) as caught:
        HostConfig.load(tmp_path)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_values_and_port_are_read(tmp_path: Path) -> None:
    """A byte order mark, which Windows editors write, does no harm."""
    file = tmp_path / "local.settings.json"
    file.write_text('{"Host": {"LocalHttpPort": 7099}, "Values": {"A": "b"}}', encoding="utf-8-sig")
    assert load_settings(file) == {"A": "b"}
    assert load_port(file) == 7099


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"IsEncrypted": True, "Values": {}}, "encrypted"),
        ({"Values": []}, "Values must be an object"),
        ({"Values": {"A": 1}}, "Values.A must be a text"),
        ("nonsense", "not valid JSON"),
    ],
)
def test_malformed_settings_are_named(tmp_path: Path, content: Any, said: str) -> None:
    """The error names the setting, or says that only Core Tools can read the file."""
    with pytest.raises(ConfigError, match=said):
        load_settings(write(tmp_path, "local.settings.json", content))


def test_placeholders_are_replaced() -> None:
    """They may stand anywhere in a text."""
    assert resolve("a-%X%-%Y%", {"X": "1", "Y": "2"}, function="f") == "a-1-2"


def test_an_unresolved_placeholder_names_setting_and_function() -> None:
    """The real host refuses to start the function; so does the local one."""
    with pytest.raises(UnresolvedSettingError, match=r"'f'.*%NOPE% does not resolve"):
        resolve("%NOPE%", {}, function="f")
