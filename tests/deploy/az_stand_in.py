"""What tests put on PATH as `az`: keeps one deployment in a file, and refuses as often as it is told to.

As with the real one: a reference to the vault keeps its status until the platform is told to refresh ("Use Key Vault
references as app settings in Azure App Service and Azure Functions"); `az rest` without a host asks Azure Resource
Manager; what is asked for by --query comes as tab-separated values. --query is JMESPath: of it only the expressions in
QUERIES are known here.
"""

import itertools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SITE = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Web/sites/func"
REFERENCES = f"{SITE}/config/configreferences/appsettings"
RULES = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Insights/scheduledQueryRules"


class Refused(Exception):
    """What the real one writes to stderr. The exit code is the second argument."""


QUERIES: dict[str, Callable[[Any], Any]] = {
    "properties.status": lambda found: found["properties"]["status"],
    "value[?properties.status!='Resolved'].[name, properties.status]": lambda found: [
        [each["name"], each["properties"]["status"]]
        for each in found["value"]
        if each["properties"]["status"] != "Resolved"
    ],
    "[0].principalId": lambda found: found[0]["principalId"] if found else None,
    "[0].id": lambda found: found[0]["id"] if found else None,
    "[].roleDefinitionName": lambda found: [each["roleDefinitionName"] for each in found],
    "functionKeys.default": lambda found: found["functionKeys"]["default"],
    "tables[0].rows[0][0]": lambda found: found["tables"][0]["rows"][0][0],
} | {
    f"value[?starts_with(name, 'alert-{name}-')].properties.enabled | [0]": lambda found, name=name: next(
        (rule["properties"]["enabled"] for rule in found["value"] if rule["name"].startswith(f"alert-{name}-")), None
    )
    for name in ("misconfigured", "no-sweep", "set-aside")
}


def reference(state: dict[str, Any], name: str) -> dict[str, Any]:
    """A reference as the platform tells of it (Web Apps, Get App Setting Key Vault Reference)."""
    status = state["references"][name]
    return {"id": f"{REFERENCES}/{name}", "name": name, "properties": {"status": status, "details": f"about {status}"}}


def refresh(state: dict[str, Any]) -> None:
    """The platform asks the vault for every reference again."""
    for name, secret in (("ENCRYPTION_KEYS", "encryption-keys"), ("CLIENT_SECRET", "client-secret")):
        if name in state["references"]:
            denied = state["refreshes_denied"] > 0
            found = "Resolved" if secret in state["secrets"] else "SecretNotFound"
            state["references"][name] = "AccessToKeyVaultDenied" if denied else found
    state["refreshes_denied"] = max(0, state["refreshes_denied"] - 1)


def vault(state: dict[str, Any], verb: str, options: dict[str, str]) -> None:
    """`az keyvault secret show|set`."""
    name = options["--name"]
    if state["refusals"]:
        state["refusals"] -= 1
        raise Refused("ERROR: (Forbidden) Caller is not authorized to perform action on resource.", 1)
    if verb == "set":
        state["secrets"][name] = Path(options["--file"]).read_text()
        state["mode"] = Path(options["--file"]).stat().st_mode & 0o777
    elif name not in state["secrets"]:
        raise Refused(f"ERROR: (SecretNotFound) A secret with name {name} was not found", 3)


def rest(state: dict[str, Any], options: dict[str, str]) -> Any:
    """`az rest`."""
    url = urlsplit(options["--url"])
    state["rest"].append([options["--method"], options["--url"]])
    asked = (options["--method"], url.path, url.query)
    if asked == ("post", f"{REFERENCES}/refresh", "api-version=2022-03-01"):
        refresh(state)
        return {"value": [reference(state, name) for name in state["references"]]}
    if asked == ("get", REFERENCES, "api-version=2022-03-01"):
        return {"value": [reference(state, name) for name in state["references"]]}
    if asked == ("get", f"{REFERENCES}/ENCRYPTION_KEYS", "api-version=2022-03-01"):
        return reference(state, "ENCRYPTION_KEYS")
    if asked == ("get", RULES, "api-version=2021-08-01"):
        rules = state["rules"].items()
        return {"value": [{"name": f"alert-{name}-dev-x", "properties": {"enabled": on}} for name, on in rules]}
    raise Refused('ERROR: Not Found({"error":{"code":"ResourceNotFound"}})', 1)


def logs(state: dict[str, Any], query: str) -> Any:
    """`az monitor app-insights query`, of queries that end in a count."""
    if any(part in query for part in state["queries_refused"]):
        raise Refused("ERROR: (BadArgumentError) The request had some invalid properties", 1)
    rows = next((count for part, count in state["rows"].items() if part in query), 0)
    return {"tables": [{"name": "PrimaryResult", "rows": [[rows]]}]}


def answer(state: dict[str, Any], words: list[str], options: dict[str, str]) -> Any:
    """What the command gives, before --query."""
    found = next((each for length in (3, 2, 1) if (each := " ".join(words[:length])) in COMMANDS), "")
    if not found:
        raise Refused(f"ERROR: '{' '.join(words)}' is misspelled or not recognized by the system.", 2)
    if found in ("functionapp keys list", "identity list", "storage account list"):
        asked = (options.get("--subscription"), options.get("--resource-group"))
        if asked != ("sub", "rg"):
            raise Refused(f"ERROR: (ResourceGroupNotFound) {asked}", 3)
    return COMMANDS[found](state, options)


COMMANDS: dict[str, Callable[[dict[str, Any], dict[str, str]], Any]] = {
    "keyvault secret show": lambda state, options: vault(state, "show", options),
    "keyvault secret set": lambda state, options: vault(state, "set", options),
    "rest": rest,
    "functionapp keys list": lambda state, options: {"functionKeys": {"default": state["function_key"]}},  # noqa: ARG005
    "identity list": lambda state, options: [{"principalId": "app"}],  # noqa: ARG005
    "storage account list": lambda state, options: [{"id": "/storage"}],  # noqa: ARG005
    "role assignment list": lambda state, options: [
        {"roleDefinitionName": role}
        for role in state["roles"]
        if (options["--assignee"], options["--scope"]) == ("app", "/storage")
    ],
    "monitor app-insights query": lambda state, options: logs(state, options["--analytics-query"]),
}


def written(found: Any, options: dict[str, str]) -> str:
    """The answer as --query and --output want it."""
    output = options.get("--output", "json")
    if output == "none" or found is None:
        return ""
    if output == "json":
        return json.dumps(found)
    chosen = QUERIES[options["--query"]](found)
    lines = chosen if isinstance(chosen, list) else [] if chosen is None else [chosen]
    return "".join("\t".join(map(str, line if isinstance(line, list) else [line])) + "\n" for line in lines)


def main() -> int:
    """Runs one command on the deployment in STAND_IN_STATE."""
    file = Path(os.environ["STAND_IN_STATE"])
    state = json.loads(file.read_text())
    arguments = sys.argv[1:]
    state["calls"].append([argument for argument in arguments if "/" not in argument])
    first_option = next((at for at, word in enumerate(arguments) if word.startswith("--")), len(arguments))
    options = dict(itertools.pairwise(arguments))
    try:
        sys.stdout.write(written(answer(state, arguments[:first_option], options), options))
    except Refused as error:
        sys.stderr.write(f"{error.args[0]}\n")
        return int(error.args[1])
    finally:
        file.write_text(json.dumps(state))
    return 0


if __name__ == "__main__":
    sys.exit(main())
