"""infra/ and azure.yaml, as far as they can be tried without a subscription: they parse, they say what the app needs,
and they hold no secret. No deployment was run. docs/operations.md says what was compared with which public source."""

import functools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from pycep import BicepParser

from infra import first_key
from shared.identity.challenge import api_scope
from shared.sealing import new_key
from shared.settings import documented, load
from shared.sweep_queue import SWEEP_SLOTS
from tasks import TASKS
from tests.running_app import RunningApp
from tests.support import ROOT
from timer_worker.notifications import SIGN_IN_REQUIRED

INFRA = ROOT / "infra"
FILES = sorted(file.name for file in INFRA.glob("*.bicep"))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text("utf-8")
HOSTS_OWN = {
    "FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__blobServiceUri",
    "AzureWebJobsDisableHomepage",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}
# Properties of siteConfig that error 51021 names (azure-pipelines-tasks, issues 21032 and 22254;
# terraform-azurerm-avm-res-web-site, pull request 345), and app settings that Flex Consumption has no use for.
REFUSED_BY_FLEX = re.compile(
    r"^ +(ftpsState|use32BitWorkerProcess|netFrameworkVersion|linuxFxVersion|windowsFxVersion|alwaysOn|"
    r"preWarmedInstanceCount|functionAppScaleLimit|functionsRuntimeScaleMonitoringEnabled|FUNCTIONS_WORKER_RUNTIME|"
    r"FUNCTIONS_EXTENSION_VERSION|WEBSITE_TIME_ZONE|TZ):",
    re.MULTILINE,
)
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
    (block,) = re.findall(r"^var appSettings = \{\n(.*?)^\}", source("app.bicep"), flags=re.MULTILINE | re.DOTALL)
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
    used = re.findall(r"\b(\w+)!?\.outputs\.(\w+)", source("main.bicep"))
    assert used
    for module, name in used:
        assert name in parsed(f"{module}.bicep")["outputs"], f"{module}.outputs.{name}"


def test_outputs_of_a_module_that_may_be_left_out_are_marked_so() -> None:
    """`registration!.outputs`: without the `!` Bicep warns (BCP318), and a warning is an error to those who compile."""
    conditional = re.findall(r"^module (\w+) '\S+' = if ", source("main.bicep"), flags=re.MULTILINE)
    assert conditional == ["registration"]
    assert re.findall(r"\bregistration(!?)\.outputs", source("main.bicep")) == ["!", "!"]


def parameters_of_main() -> dict[str, str]:
    """Defaults by name; "" for a parameter without one, and for an empty one."""
    lines = re.findall(r"^param (\w+) \w+(?: = (.*))?$", source("main.bicep"), flags=re.MULTILINE)
    return {name: default.strip("'") for name, default in lines}


def variables_of_azd() -> dict[str, tuple[str, str]]:
    """main.parameters.json: the variable of `azd env set` and its default, by parameter."""
    given = json.loads((INFRA / "main.parameters.json").read_text("utf-8"))["parameters"]
    found = {name: re.fullmatch(r"\$\{(\w+)=?(.*)\}", entry["value"]) for name, entry in given.items()}
    return {name: (match[1], match[2]) for name, match in found.items() if match}


def table_of_variables() -> dict[str, str]:
    """docs/operations.md's table: defaults by variable. A default in words is an empty one."""
    rows = re.findall(r"^\| `(UNDERSTUDY_\w+)` \| ([^|]+) \|", OPERATIONS, flags=re.MULTILINE)
    return {name: default.strip("`") if default.startswith("`") else "" for name, default in rows}


def test_every_parameter_is_set_by_a_variable_of_azd() -> None:
    """An operator changes no file. What azd substitutes when nobody set the variable is the parameter's own default."""
    variables = variables_of_azd()
    assert set(variables) == set(parameters_of_main())
    assert {name: default for name, (_, default) in variables.items()} == parameters_of_main()


def test_every_variable_is_in_the_operators_table() -> None:
    """With the default that it has; azd asks for the others itself."""
    ours = {name: default for name, default in variables_of_azd().values() if name.startswith("UNDERSTUDY_")}
    assert table_of_variables() == ours
    assert {name for name, _ in variables_of_azd().values()} - set(ours) == {
        "AZURE_ENV_NAME",
        "AZURE_LOCATION",
        "AZURE_PRINCIPAL_ID",
    }


def test_an_operators_settings_are_parameters() -> None:
    """Each of these by a name of its own; `settings` takes all others, and those of tasks."""
    expressions = settings_of_the_app()
    parameters = {expressions[name] for name in ("SCOPES", "SWEEP_SCHEDULE", "SWEEP_EVERY", "SWEEP_FANOUT")}
    parameters |= {expressions[name] for name in ("ABSENT_AFTER", "RETENTION", "CORS_ORIGINS")}
    parameters |= {expressions[name] for name in ("OPERATOR_TENANTS", "OPERATOR_CLIENTS")}
    parameters |= {"baseUrl", "settings", "storageSku", "instanceMemory", "maximumInstances", "httpConcurrency"}
    assert parameters <= set(parameters_of_main())


@pytest.mark.parametrize("name", ["dev", "My_App.2", "PROD", "a.b_c(d)-e", "x" * 20])
def test_every_environment_makes_a_valid_name_of_a_site(name: str) -> None:
    """azd takes `-()_.` and capitals (azure-dev, environment.go); a site: "Resource naming restrictions",
    Microsoft.Web."""
    (part,) = re.findall(r"^var appName = 'func-\$\{(\w+)\}-\$\{token\}'$", source("main.bicep"), flags=re.MULTILINE)
    assert f"rg-${{{part}}}'" in source("main.bicep")
    (expression,) = re.findall(rf"^var {part} = (.*)$", source("main.bicep"), flags=re.MULTILINE) or ["environmentName"]
    made = name.lower() if "toLower(environmentName)" in expression else name
    for found, instead in re.findall(r"'(.)', '(.)'\)", expression):
        made = made.replace(found, instead)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,58}[a-z0-9]", f"func-{made}-{'h' * 13}")


def test_nothing_is_set_that_flex_consumption_refuses() -> None:
    """Error 51021 ends the deployment."""
    assert REFUSED_BY_FLEX.findall(source("app.bicep")) == []


def test_an_instance_serves_several_requests_at_a_time() -> None:
    """The platform's default for Python is one ("Concurrency in Azure Functions", HTTP trigger concurrency)."""
    block = r"triggers: \{\s+http: \{\s+perInstanceConcurrency: httpConcurrency\s+\}"
    assert re.search(block, source("app.bicep"))
    assert int(parameters_of_main()["httpConcurrency"]) > 1


def test_a_stop_waits_for_what_runs_and_threads_are_the_hosts() -> None:
    """In Azure as at home. The host makes the thread count 1000 where it is unset, so nobody sets it."""
    values = json.loads((ROOT / "local.settings.json.example").read_text("utf-8"))["Values"]
    assert settings_of_the_app()["FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING"] == "'true'"
    assert values["FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING"] == "true"
    assert "PYTHON_THREADPOOL_THREAD_COUNT" not in {*settings_of_the_app(), *values}


def test_no_key_secret_or_connection_string_is_anywhere() -> None:
    """Nothing reads a key of a resource, and no parameter or output carries a secret."""
    for file in [*INFRA.rglob("*.bicep"), INFRA / "main.parameters.json", ROOT / "azure.yaml"]:
        assert not CREDENTIALS.search(file.read_text("utf-8")), file.name
    assert "allowSharedKeyAccess: false" in source("storage.bicep")
    assert "allowBlobPublicAccess: false" in source("storage.bicep")
    assert "CLIENT_ASSERTION: 'managed-identity'" in source("app.bicep")
    assert "DisableLocalAuth: true" in source("monitoring.bicep")
    assert source("app.bicep").count("allow: false") == 2


ENVIRONMENT = {
    "AzureWebJobsStorage__clientId": "11111111-1111-1111-1111-111111111111",
    "AzureWebJobsStorage__queueServiceUri": "https://stsample.queue.core.windows.net/",
    "AzureWebJobsStorage__tableServiceUri": "https://stsample.table.core.windows.net/",
    "BASE_URL": "https://func-sample.azurewebsites.net",
    "CLIENT_ID": "22222222-2222-2222-2222-222222222222",
    "AUTHORITY": "https://login.microsoftonline.com/33333333-3333-3333-3333-333333333333",
    "ENCRYPTION_KEYS": new_key("k1"),
}


def test_the_settings_that_are_deployed_are_settings_of_the_app() -> None:
    """Each is read by shared/settings.py or by the host, and `load` accepts them."""
    names = set(settings_of_the_app())
    assert names - HOSTS_OWN <= {name for name, _, _ in documented()}
    assert set(ENVIRONMENT) <= names
    defaults = parameters_of_main()
    expressions = {name: text for name, text in settings_of_the_app().items() if defaults.get(text)}
    environment = ENVIRONMENT | {name: defaults[parameter] for name, parameter in expressions.items()}
    settings = load(environment | {"CLIENT_ASSERTION": "managed-identity"})
    assert settings.storage_table_uri == "https://stsample.table.core.windows.net"
    assert settings.redirect_uri == "https://func-sample.azurewebsites.net/signin/callback"


def test_schedule_of_the_trigger_is_among_the_settings() -> None:
    """The host resolves %SWEEP_SCHEDULE% from the app settings: a default in our code does not help it."""
    assert "SWEEP_SCHEDULE" in settings_of_the_app()


def test_the_redirect_uri_that_is_registered_is_the_apps() -> None:
    """Exactly one, at the address that BASE_URL names."""
    assert "redirectUri: '${siteUrl}/signin/callback'" in source("main.bicep")
    assert "    baseUrl: siteUrl\n" in source("main.bicep")
    assert "redirectUris: [redirectUri]" in source("registration.bicep")


def blocks_of_the_registration() -> list[dict[str, str]]:
    """The properties, in one line each, of every block that writes the registration."""
    found = re.findall(
        r"^resource \w+ 'Microsoft\.Graph/applications@v1\.0' = \{\n(.*?)^\}",
        source("registration.bicep"),
        flags=re.MULTILINE | re.DOTALL,
    )
    return [dict(re.findall(r"^  (\w+): (.*)$", block, flags=re.MULTILINE)) for block in found]


def test_the_application_id_uri_is_the_one_that_the_app_and_its_clients_use() -> None:
    """Else a client gets AADSTS500011: the resource principal was not found (msgraph-bicep-types, issue 239)."""
    client_id = "22222222-2222-2222-2222-222222222222"
    uris = [block["identifierUris"] for block in blocks_of_the_registration() if "identifierUris" in block]
    (uri,) = [each.strip("[]'").replace("${application.appId}", client_id) for each in uris]
    assert "value: 'access_as_user'" in source("registration.bicep")
    settings = load({**ENVIRONMENT, "CLIENT_ID": client_id, "CLIENT_ASSERTION": "managed-identity"})
    assert api_scope(settings) == f"{uri}/access_as_user"
    assert "export API_SCOPE=api://" in (ROOT / "docs" / "desktop.md").read_text("utf-8")
    assert '--identifier-uris "api://$CLIENT_ID"' in OPERATIONS


def test_scopes_of_the_api_are_those_that_the_app_asks_for() -> None:
    """By default. Everybody may consent to the one; to the operators' an administrator does."""
    (block,) = re.findall(
        r"oauth2PermissionScopes: \[\n(.*?)^  \]", source("registration.bicep"), re.DOTALL | re.MULTILINE
    )
    kinds = dict(re.findall(r"^      value: '(\S+)'\n(?:      //.*\n)?      type: '(\w+)'", block, re.MULTILINE))
    settings = load({**ENVIRONMENT, "CLIENT_ASSERTION": "managed-identity"})
    assert kinds == {settings.api_scope: "User", settings.operator_scope: "Admin"}


def test_the_block_with_the_uri_writes_the_same_registration() -> None:
    """The client id is known when the registration is there; the second block names the same one and takes nothing."""
    first, second = blocks_of_the_registration()
    shared = ("uniqueName", "displayName", "signInAudience", "api", "appRoles")
    assert {name: second[name] for name in shared} == {name: first[name] for name in shared}
    assert first["uniqueName"] == "name"


def test_every_permission_of_the_tasks_is_registered() -> None:
    """By its name in the tenant's own list, where a wrong name ends the deployment: no list of ours leaves one out."""
    text = source("registration.bicep")
    looked_up = "filter(graph.oauth2PermissionScopes, permission => permission.value == scope)[0].id"
    assert re.search(r"for scope in wanted: \{\s+id: " + re.escape(looked_up), text)
    assert "var wanted = union(always, filter(split(scopes, ' '), scope => !empty(scope)))" in text
    assert {scope for task in TASKS if task.default == "on" for scope in task.scopes} <= set(
        parameters_of_main()["scopes"].split()
    )


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


def matches(query: Path, name: str) -> bool:
    """Would the query's conditions on `name` and `operation_Name` take this record?"""
    (where,) = [line for line in query.read_text("utf-8").splitlines() if "name" in line.lower()]
    if listed := re.fullmatch(r"\| where name in \((.*)\)", where):
        return name in re.findall(r'"([^"]+)"', listed[1])
    return any(name.endswith(ending) for ending in re.findall(r'ame endswith "([^"]+)"', where))


def test_alert_no_sweep_is_quietened_by_the_timer_alone(app: RunningApp) -> None:
    """A record is named by its function; with OpenTelemetry, where there is a route, by method and route.

    An operator's "sweep now" is no sign of the timer. Source: azure-functions-host, ActivitySourceWrapper.cs and
    OpenTelemetryConfigurationExtensions.cs.
    """
    query = INFRA / "alerts" / "no-sweep.kql"
    functions = [function.name for function in app.host.functions]
    others = [*(name for name in functions if name != "sweep"), "POST accounts/sweep", "POST /accounts/sweep"]
    assert {"sweep", "sweep_slot", "accounts_sweep"} <= set(functions)
    assert matches(query, "sweep")
    assert [name for name in others if matches(query, name)] == []


def test_alerts_are_made_before_there_is_anything_to_query() -> None:
    """A new workspace has no tables: a rule that is validated against them is refused."""
    assert "      skipQueryValidation: true\n" in source("alerts.bicep")


def test_what_a_hook_and_the_check_read_is_an_output() -> None:
    """Or azd's own."""
    outputs = set(re.findall(r"^output (\w+) ", source("main.bicep"), flags=re.MULTILINE))
    script = (INFRA / "verify.sh").read_text("utf-8")
    read = {*first_key.OUTPUTS, *re.findall(r"=\$\(value (\w+)\)", script)}
    assert len(read) > len(first_key.OUTPUTS)
    assert read - outputs == {"AZURE_SUBSCRIPTION_ID"}


def test_what_must_be_registered_and_installed_is_named() -> None:
    """Every provider of a resource, Microsoft.App for the network, and the oldest Bicep that knows Microsoft Graph."""
    everything = "".join(source(name) for name in FILES)
    providers = set(re.findall(r"'(Microsoft\.\w+)/", everything)) - {"Microsoft.Graph"}  # Graph is no provider
    assert len(providers) > 5
    assert {name for name in {*providers, "Microsoft.App"} if name not in OPERATIONS} == set()
    assert "0.36.1" in OPERATIONS
    assert "azd: '>= 1.17.0'" in (ROOT / "azure.yaml").read_text("utf-8")


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="the command is written for bash")
@pytest.mark.parametrize(
    ("said", "exit_code", "passes"),
    [
        ("", 0, True),
        ("main.bicep(3,7) : Warning no-unused-vars: Variable is declared but never used.", 0, True),
        ('registration.bicep(50,3) : Warning BCP037: The property "apis" is not allowed on objects.', 0, False),
        ('main.bicep(3,7) : Error BCP018: Expected the "]" character at this location.', 1, False),
        ("ERROR: The command failed with an unexpected error.", 1, False),
    ],
)
def test_a_compilers_warning_ends_the_operators_check(tmp_path: Path, said: str, exit_code: int, passes: bool) -> None:
    """The command of docs/operations.md. To Bicep a wrong property of a Graph resource is only a warning."""
    (command,) = re.findall(r"^set -o pipefail\naz bicep build .*$", OPERATIONS, flags=re.MULTILINE)
    (tmp_path / "az").write_text(f"#!/bin/sh\ncat >&2 <<'E'\n{said}\nE\nexit {exit_code}\n")
    (tmp_path / "az").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", command], env={"PATH": path}, check=False, capture_output=True)
    assert (done.returncode == 0) == passes


def test_a_restart_is_nowhere_said_to_read_secrets_again() -> None:
    """Only a change of configuration or the refresh call does ("Use Key Vault references as app settings …")."""
    said = [sentence for sentence in re.split(r"(?<=[.;:])\s", OPERATIONS) if "restart" in sentence.lower()]
    assert [sentence for sentence in said if " not " not in sentence] == []
    assert "/config/configreferences/appsettings/refresh?api-version=2022-03-01" in OPERATIONS


def test_the_runbook_fits_its_lines() -> None:
    """120 characters, tables and commands but for what can't be broken."""
    plain = [line for line in OPERATIONS.splitlines() if not line.startswith("|")]
    assert [line for line in plain if len(line) > 120] == []


def test_azd_finds_what_azure_yaml_names() -> None:
    """The infra folder, the service's tag, and the hook's script."""
    text = (ROOT / "azure.yaml").read_text("utf-8")
    assert "path: infra" in text
    (service,) = re.findall(r"^services:\n  (\w+):", text, flags=re.MULTILINE)
    assert f"'azd-service-name': '{service}'" in source("app.bicep")
    scripts = set(re.findall(r"(?:python3|py -3) (\S+)", text))
    assert scripts == {"infra/first_key.py"}
    assert (ROOT / "infra" / "first_key.py").is_file()
