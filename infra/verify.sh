#!/usr/bin/env bash
# Checks a deployed app from outside and changes nothing. Run it ten minutes after `azd up`: a sweep must have
# been. It needs bash, curl and the Azure CLI, signed in; what azd knows comes from the environment, else from azd.
# Prints a line per check; exits with the number of those that failed.
# shellcheck disable=SC2317 # check calls the functions by name
set -euo pipefail
export AZURE_EXTENSION_USE_DYNAMIC_INSTALL=yes_without_prompt # az monitor app-insights is an extension
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

value() { # of an output of the deployment
    local known=${!1:-}
    if [ -z "$known" ] && ! known=$(cd "$here/.." && azd env get-value "$1" 2>/dev/null); then
        echo "verify.sh: $1 is not known: run it where azd provisioned, or set it" >&2
        return 1
    fi
    printf '%s' "$known"
}

subscription=$(value AZURE_SUBSCRIPTION_ID)
group=$(value AZURE_RESOURCE_GROUP)
app=$(value AZURE_FUNCTION_APP_NAME)
insights=$(value AZURE_APPLICATION_INSIGHTS_ID)
client=$(value UNDERSTUDY_APP_CLIENT_ID)
url=$(value UNDERSTUDY_URL)
scope=/subscriptions/$subscription/resourceGroups/$group
in_group=(--subscription "$subscription" --resource-group "$group" --only-show-errors --output tsv)

get() { # <resource> <api version> <JMESPath>: from Azure Resource Manager
    az rest --method get --url "$scope/providers/$1?api-version=$2" --query "$3" --only-show-errors --output tsv
}

rows() { # <query>: how many rows it has in the last hour
    az monitor app-insights query --apps "$insights" --analytics-query "$1 | count" --offset 1h \
        --query 'tables[0].rows[0][0]' --only-show-errors --output tsv
}

health() {
    [ "$(curl -sS -o /dev/null -w '%{http_code}' "$url/healthz")" = 200 ]
}

sign_in() {
    local answer callback=$url/signin/callback
    callback=${callback//:/%3A}
    callback=${callback//\//%2F}
    answer=$(curl -sS -o /dev/null -w '%{http_code} %{redirect_url}' "$url/signin") || return
    echo "$answer"
    [[ $answer == 30[23]\ *client_id="$client"* && $answer == *redirect_uri="$callback"* ]]
}

references() {
    local all=Microsoft.Web/sites/$app/config/configreferences/appsettings keys open
    keys=$(get "$all/ENCRYPTION_KEYS" 2022-03-01 properties.status) || return
    open=$(get "$all" 2022-03-01 "value[?properties.status!='Resolved'].[name, properties.status]") || return
    echo "ENCRYPTION_KEYS $keys; not resolved: $open"
    [[ $keys == Resolved && -z $open ]]
}

roles() {
    local identity storage held role
    identity=$(az identity list "${in_group[@]}" --query '[0].principalId') || return
    storage=$(az storage account list "${in_group[@]}" --query '[0].id') || return
    held=$(az role assignment list --subscription "$subscription" --assignee "$identity" --scope "$storage" \
        --query '[].roleDefinitionName' --only-show-errors --output tsv) || return
    echo "$held"
    for role in 'Storage Blob Data Owner' 'Storage Queue Data Contributor' 'Storage Table Data Contributor'; do
        grep -qxF "$role" <<<"$held" || return 1
    done
}

ready() { # the app itself asks its tables and the authority; the key is on no command line
    local key
    key=$(az functionapp keys list "${in_group[@]}" --name "$app" --query functionKeys.default) || return
    printf 'header = "x-functions-key: %s"\n' "$key" | curl -sS --fail-with-body --config - "$url/readyz"
}

listeners() { # the host's own words, when a trigger can't reach its queue
    [ "$(rows 'union traces, exceptions | where * has "was unable to start"')" = 0 ]
}

sweep() {
    [ "$(rows "$(cat "$here/alerts/no-sweep.kql")")" -gt 0 ]
}

alert() { # <name>: the rule is on, and its query has an answer
    local enabled
    enabled=$(get Microsoft.Insights/scheduledQueryRules 2021-08-01 \
        "value[?starts_with(name, 'alert-$1-')].properties.enabled | [0]")
    echo "enabled: $enabled"
    [[ $enabled =~ ^[Tt]rue$ && $(rows "$(cat "$here/alerts/$1.kql")") =~ ^[0-9]+$ ]]
}

failures=0
check() { # <what> <function> [argument]
    local what=$1 said
    shift
    if said=$("$@" 2>&1); then
        echo "ok    $what"
    else
        echo "FAIL  $what: ${said//$'\n'/; }"
        failures=$((failures + 1))
    fi
}

check 'the app answers' health
check 'sign-in goes to the identity provider, with this registration and this address' sign_in
check 'every reference to the vault resolves' references
check "the app's identity may use blobs, queue and tables" roles
check 'the app reaches its tables and the identity provider' ready
check 'no trigger failed to start in the last hour' listeners
check 'the timer ran in the last hour' sweep
for query in "$here"/alerts/*.kql; do
    name=$(basename "$query" .kql)
    check "alert $name is on and its query runs" alert "$name"
done
exit "$failures"
