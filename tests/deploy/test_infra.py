"""infra/ and azure.yaml, as far as tests can check them without a subscription: they parse, they have what the app
needs, and they hold no secret. No deployment was run."""

import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from pycep import BicepParser

from shared.sealing import new_key
from shared.settings import documented, load
from shared.sweep_queue import SWEEP_SLOTS
from tests.running_app import RunningApp
from tests.support import ROOT
from timer_worker.notifications import SIGN_IN_REQUIRED

INFRA = ROOT / "infra"
FILES = sorted(file.name for file in INFRA.glob("*.bicep"))
HOSTS_OWN = {
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsDisableHomepage",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}
CREDENTIALS = re.compile(r"listKeys|AccountKey=|SharedAccessSignature|primaryKey|InstrumentationKey", re.IGNORECASE)


def source(name: str) -> str:
    """A Bicep file's text."""
    return (INFRA / name).read_text("utf-8")


@functools.cache  # parsing the largest takes two seconds
def parsed(name: str) -> dict[str, Any]:
    """A Bicep file's parts. The parser does not know `extension` yet; the one line is left out."""
    text = re.sub(r"^extension .*$", "", source(name), flags=re.MULTILINE)
    return cast("dict[str, Any]", BicepParser().parse(text=text))


def settings_of_the_app() -> dict[str, str]:
    """The app settings as app.bicep writes them, with its expressions."""
    (block,) = re.findall(r"^var settings = \{\n(.*?)^\}", source("app.bicep"), flags=re.MULTILINE | re.DOTALL)
    return dict(re.findall(r"^  (\w+): (.+)$", block, flags=re.MULTILINE))


@pytest.mark.parametrize("name", FILES)
def test_every_file_parses(name: str) -> None:
    """No file is empty."""
    tree = parsed(name)
    assert tree.get("resources") or tree.get("modules")


def test_every_module_is_there_and_gets_the_parameters_that_it_has() -> None:
    """Each module gets exactly its parameters."""
    text = source("main.bicep")
    modules = re.findall(r"^module \w+ '(\S+)'.*?^  params: \{\n(.*?)^  \}", text, flags=re.MULTILINE | re.DOTALL)
    assert sorted(name for name, _ in modules) == sorted(set(FILES) - {"main.bicep"})
    for name, block in modules:
        given = set(re.findall(r"^    (\w+):", block, flags=re.MULTILINE))
        assert given == set(parsed(name)["parameters"]), name


def test_every_output_that_is_used_exists() -> None:
    """`<module>.outputs.<name>` in main.bicep."""
    used = re.findall(r"\b(\w+)\.outputs\.(\w+)", source("main.bicep"))
    assert used
    for module, name in used:
        assert name in parsed(f"{module}.bicep")["outputs"], f"{module}.outputs.{name}"


def test_parameters_file_fills_main() -> None:
    """Each value from azd has a parameter, and each parameter without a default gets a value."""
    given = json.loads((INFRA / "main.parameters.json").read_text("utf-8"))["parameters"]
    known = parsed("main.bicep")["parameters"]
    assert set(given) <= set(known)
    required = set(re.findall(r"^param (\w+) \w+$", source("main.bicep"), flags=re.MULTILINE))
    assert required <= set(given)


def test_no_key_secret_or_connection_string_is_anywhere() -> None:
    """Nothing reads a key of a resource, and no parameter or output carries a secret."""
    for file in [*INFRA.rglob("*.bicep"), INFRA / "main.parameters.json", ROOT / "azure.yaml"]:
        assert not CREDENTIALS.search(file.read_text("utf-8")), file.name
    assert "allowSharedKeyAccess: false" in source("storage.bicep")
    assert "allowBlobPublicAccess: false" in source("storage.bicep")
    assert "CLIENT_ASSERTION: 'managed-identity'" in source("app.bicep")
    assert "DisableLocalAuth: true" in source("monitoring.bicep")
    assert source("app.bicep").count("allow: false") == 2


def test_the_settings_that_are_deployed_are_settings_of_the_app() -> None:
    """Each is read by shared/settings.py or by the host, and `load` accepts them."""
    names = set(settings_of_the_app())
    assert names - HOSTS_OWN <= {name for name, _, _ in documented()}
    environment = {
        "AzureWebJobsStorage__clientId": "11111111-1111-1111-1111-111111111111",
        "AzureWebJobsStorage__queueServiceUri": "https://stsample.queue.core.windows.net/",
        "AzureWebJobsStorage__tableServiceUri": "https://stsample.table.core.windows.net/",
        "BASE_URL": "https://func-sample.azurewebsites.net",
        "CLIENT_ID": "22222222-2222-2222-2222-222222222222",
        "AUTHORITY": "https://login.microsoftonline.com/33333333-3333-3333-3333-333333333333",
        "ENCRYPTION_KEYS": new_key("k1"),
    }
    assert set(environment) <= names
    defaults = dict(re.findall(r"^param (\w+) string = '(.*)'$", source("main.bicep"), flags=re.MULTILINE))
    expressions = {name: text for name, text in settings_of_the_app().items() if defaults.get(text)}
    environment |= {name: defaults[parameter] for name, parameter in expressions.items()}
    settings = load(environment | {"CLIENT_ASSERTION": "managed-identity"})
    assert settings.storage_table_uri == "https://stsample.table.core.windows.net"
    assert settings.redirect_uri == "https://func-sample.azurewebsites.net/signin/callback"


def test_schedule_of_the_trigger_is_among_the_settings() -> None:
    """The host resolves %SWEEP_SCHEDULE% from the app settings: a default in our code does not help it."""
    assert "SWEEP_SCHEDULE" in settings_of_the_app()


def test_the_redirect_uri_that_is_registered_is_the_apps() -> None:
    """There is exactly one, at BASE_URL's address."""
    assert "redirectUri: '${baseUrl}/signin/callback'" in source("main.bicep")
    assert "redirectUris: [redirectUri]" in source("registration.bicep")


def test_the_queues_are_those_that_the_app_uses() -> None:
    """They are created with the storage account, under the names in the code."""
    assert f"for name in ['{SWEEP_SLOTS}', '{SIGN_IN_REQUIRED}']" in source("storage.bicep")


def test_roles_are_those_that_the_app_needs() -> None:
    """They are data roles on the storage account, reading secrets and publishing metrics. None is Owner or
    Contributor."""
    roles = set(re.findall(r"'([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})'", source("storage.bicep")))
    assert roles == {
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",  # Storage Blob Data Owner: what the host asks for
        "974c5e8b-45b9-4653-ba55-5f855dd0fb88",  # Storage Queue Data Contributor
        "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",  # Storage Table Data Contributor
    }
    everything = "".join(source(name) for name in FILES)
    for role in ("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "b24988ac-6180-42a0-ab88-20f7382dd24c"):  # Owner, Contributor
        assert role not in everything


@pytest.mark.parametrize("name", FILES)
def test_every_exception_to_a_policy_says_why(name: str) -> None:
    """`checkov:skip=<id>: <reason>`."""
    for line in source(name).splitlines():
        if "checkov:" in line:
            assert re.fullmatch(r"\s+// checkov:skip=CKV2?_\w+: .{10,}", line), line


def queries() -> Iterator[Path]:
    """The alerts' queries."""
    return (INFRA / "alerts").glob("*.kql")


def test_alerts_have_a_query_each() -> None:
    """Each query belongs to one alert."""
    used = re.findall(r"loadTextContent\('alerts/([\w-]+)\.kql'\)", source("alerts.bicep"))
    assert sorted(used) == sorted(query.stem for query in queries())
    assert len(used) == 3


def patterns(name: str) -> list[str]:
    """The regular expressions of a query; those used here mean the same to Kusto (RE2) and to Python."""
    return re.findall(r'@"(.*?)"', (INFRA / "alerts" / f"{name}.kql").read_text("utf-8"))


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged."""
    return [record.getMessage() for record in caplog.records]


def test_alert_on_people_set_aside_reads_the_line_of_a_sweep(app: RunningApp, caplog: pytest.LogCaptureFixture) -> None:
    """The query takes the counts from the line that a sweep really logs."""
    for username in ("ada@contoso.example", "deniz@contoso.example"):
        app.browser().sign_in(username)
    app.tenant.change_person("deniz@contoso.example", state="revoked")
    app.clock.move(minutes=6)
    caplog.set_level("INFO")
    app.sweep()
    (pattern,) = patterns("set-aside")
    (line,) = [line for line in lines_of(caplog) if line.startswith("sweep: ")]
    found = re.search(pattern, line)
    assert found is not None
    assert dict(part.split("=") for part in found[1].split(" ")) == {"fresh": "1", "sign_in_required": "1"}


def test_alert_on_misconfiguration_reads_the_line_of_a_sweep(
    start_app: Callable[..., RunningApp], caplog: pytest.LogCaptureFixture
) -> None:
    """A secret that the tenant refuses matches the query; an ordinary sweep does not."""
    app = start_app()
    app.browser().sign_in("ada@contoso.example")
    app.clock.move(minutes=6)
    caplog.set_level("INFO")
    app.sweep()
    assert not [line for line in lines_of(caplog) if any(re.search(each, line) for each in patterns("misconfigured"))]
    app = start_app(CLIENT_SECRET="wrong")
    app.clock.move(hours=2)
    app.sweep()
    matching = [line for line in lines_of(caplog) if any(re.search(each, line) for each in patterns("misconfigured"))]
    assert len(matching) == 1


def test_azd_finds_what_azure_yaml_names() -> None:
    """The infra folder, the service's tag, and the hook's script."""
    text = (ROOT / "azure.yaml").read_text("utf-8")
    assert "path: infra" in text
    (service,) = re.findall(r"^services:\n  (\w+):", text, flags=re.MULTILINE)
    assert f"'azd-service-name': '{service}'" in source("app.bicep")
    scripts = set(re.findall(r"(?:python3|py -3) (\S+)", text))
    assert scripts == {"infra/first_key.py"}
    assert (ROOT / "infra" / "first_key.py").is_file()
