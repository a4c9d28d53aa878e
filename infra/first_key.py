"""Puts a first encryption key into the vault of `azd provision`, and has the app read it. A key that is there stays.

azd runs it after provisioning, with its outputs in the environment. It needs Python and the Azure CLI, signed in (az
login). The key is made here and goes to the vault by a file that only this user can read: it is on no command line, in
no log and in no azd environment.

The app is made before the key. Its reference finds nothing then, and the platform looks again after a day; a restart
does not make it look. So it is told to ("Use Key Vault references as app settings in Azure App Service and Azure
Functions", Understand rotation) until the reference resolves.
"""

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAME = "encryption-keys"
SETTING = "ENCRYPTION_KEYS"
OUTPUTS = ("AZURE_KEY_VAULT_NAME", "AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_FUNCTION_APP_NAME")
_KEY_BYTES = 32
_TRIES = 20
_SECONDS = 15.0  # a new role assignment takes some minutes to hold


class VaultError(Exception):
    """The vault refuses, or the app can't read it; the message is one line for whoever deploys."""


def new_key(day: str) -> str:
    """A value for ENCRYPTION_KEYS: `<key id>:<32 bytes, base64url>`."""
    return f"{day}:{base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).rstrip(b'=').decode()}"


def az(*arguments: str, output: str = "none") -> tuple[int, str, str]:
    """Runs the Azure CLI; gives its exit code, what it answered and what it complained about.

    Raises:
        VaultError: there is no Azure CLI.
    """
    program = shutil.which("az")
    if program is None:
        raise VaultError("the Azure CLI (az) is not installed: https://aka.ms/azure-cli")
    command = [program, *arguments, "--only-show-errors", "--output", output]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own argument list
    return done.returncode, done.stdout, done.stderr.strip()


def exists(vault: str) -> bool:
    """Is there a key already? Raises VaultError when the vault doesn't tell."""
    code, _, complaint = az("keyvault", "secret", "show", "--vault-name", vault, "--name", NAME)
    if code and "SecretNotFound" not in complaint:
        raise VaultError(_last_line(complaint))
    return not code


def put(vault: str, value: str) -> None:
    """Writes the secret. Raises VaultError."""
    handle, name = tempfile.mkstemp()  # for this user only
    try:
        os.write(handle, value.encode())
        os.close(handle)
        code, _, complaint = az("keyvault", "secret", "set", "--vault-name", vault, "--name", NAME, "--file", name)
    finally:
        Path(name).unlink()
    if code:
        raise VaultError(_last_line(complaint))


def ensure(vault: str, *, seconds: float = _SECONDS) -> str:
    """Makes sure that there is a key; says what was done.

    Args:
        seconds: between two tries, while the vault refuses us.

    Raises:
        VaultError: the last refusal.
    """
    for left in reversed(range(_TRIES)):
        try:
            if exists(vault):
                return f"the vault {vault} has encryption keys already; they stay"
            put(vault, new_key(time.strftime("%Y-%m-%d", time.gmtime())))
        except VaultError as error:
            if not left or "Forbidden" not in str(error):
                raise
            time.sleep(seconds)
        else:
            return f"a first encryption key is in the vault {vault}"
    raise AssertionError  # the last try returned or raised


def references(method: str, site: str, operation: str) -> str:
    """Calls the platform about the app's Key Vault references; gives the answer's text.

    Args:
        site: resource ID of the function app.
        operation: `refresh`, or a setting's name.

    Raises:
        VaultError: the platform refuses.
    """
    url = f"{site}/config/configreferences/appsettings/{operation}?api-version=2022-03-01"
    code, answer, complaint = az("rest", "--method", method, "--url", url, output="json")
    if code:
        raise VaultError(_last_line(complaint))
    return answer


def await_resolution(site: str, *, seconds: float = _SECONDS) -> str:
    """Waits until the app's reference to the key resolves; says so.

    The platform is told to look again at each try: the app's right to read the vault may be as new as the vault.

    Args:
        seconds: between two tries.

    Raises:
        VaultError: it does not resolve; with the platform's status and words.
    """
    for left in reversed(range(_TRIES)):
        found = json.loads(references("get", site, SETTING))["properties"]
        if found["status"] == "Resolved":
            return f"the app reads {SETTING} from the vault"
        if left:
            references("post", site, "refresh")
            time.sleep(seconds)
    raise VaultError(
        f"the key is in the vault, but the app can't read it: {SETTING} is {found['status']} ({found.get('details')}). "
        "Does its identity have the role Key Vault Secrets User? Then run `azd provision` again."
    )


def main() -> int:
    """The command line: no arguments. Returns the exit code."""
    missing = [name for name in OUTPUTS if not os.environ.get(name)]
    if missing:
        print(f"first_key.py: not set: {', '.join(missing)}; azd sets them", file=sys.stderr)
        return 2
    vault, subscription, group, app = (os.environ[name] for name in OUTPUTS)
    try:
        print(ensure(vault))
        print(
            await_resolution(
                f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Web/sites/{app}"
            )
        )
    except VaultError as error:
        print(f"first_key.py: {error}", file=sys.stderr)
        return 1
    return 0


def _last_line(complaint: str) -> str:
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    forbidden = [line for line in lines if "Forbidden" in line]
    return (forbidden or lines or ["az failed without a word"])[-1]


if __name__ == "__main__":
    sys.exit(main())
