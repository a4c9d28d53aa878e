"""Puts a first encryption key into the vault that `azd provision` made; leaves one that is there alone.

azd runs it after provisioning, with the vault's name in AZURE_KEY_VAULT_NAME. It needs Python and the Azure CLI, signed
in (az login). The key is made here and goes to the vault by a file that only this user can read: it is on no command
line, in no log and in no azd environment.
"""

import base64
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAME = "encryption-keys"
_KEY_BYTES = 32
_TRIES = 20
_SECONDS = 15.0  # a new role assignment takes some minutes to hold


class VaultError(Exception):
    """The vault refuses; the message is one line for whoever deploys."""


def new_key(day: str) -> str:
    """A value for ENCRYPTION_KEYS: `<key id>:<32 bytes, base64url>`."""
    return f"{day}:{base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).rstrip(b'=').decode()}"


def az(*arguments: str) -> tuple[int, str]:
    """Runs the Azure CLI; gives its exit code and what it complained about. Raises VaultError when there is none."""
    program = shutil.which("az")
    if program is None:
        raise VaultError("the Azure CLI (az) is not installed: https://aka.ms/azure-cli")
    done = subprocess.run(  # noqa: S603 - our own argument list
        [program, *arguments, "--only-show-errors", "--output", "none"], stderr=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stderr.strip()


def exists(vault: str) -> bool:
    """Is there a key already? Raises VaultError when the vault doesn't tell."""
    code, complaint = az("keyvault", "secret", "show", "--vault-name", vault, "--name", NAME)
    if code and "SecretNotFound" not in complaint:
        raise VaultError(_last_line(complaint))
    return not code


def put(vault: str, value: str) -> None:
    """Writes the secret. Raises VaultError."""
    handle, name = tempfile.mkstemp()  # for this user only
    try:
        os.write(handle, value.encode())
        os.close(handle)
        code, complaint = az("keyvault", "secret", "set", "--vault-name", vault, "--name", NAME, "--file", name)
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


def main() -> int:
    """The command line: no arguments. Returns the exit code."""
    vault = os.environ.get("AZURE_KEY_VAULT_NAME", "")
    if not vault:
        print("first_key.py: AZURE_KEY_VAULT_NAME is not set; azd sets it", file=sys.stderr)
        return 2
    try:
        print(ensure(vault))
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
