"""What `dev.py run` tells the app: the sample tenant's settings, or those of a real tenant in local.settings.json."""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from shared.sealing import new_key

SAMPLE_PACE: Mapping[str, str] = {
    "ADMIN_ROLE": "Understudy.Operator",
    # Quick enough to watch.
    "SWEEP_SCHEDULE": "0 * * * * *",
    "SWEEP_EVERY": "2m",
    "ABSENT_AFTER": "1m",
}


class LocalSettingsError(Exception):
    """local.settings.json can't be read; the message says why."""


def is_placeholder(value: str) -> bool:
    """Whether it still is what local.settings.json.example says."""
    return not value.strip() or "<" in value


def of_real_tenant(file: Path) -> dict[str, str] | None:
    """The values of local.settings.json without its placeholders; None when they name no real tenant.

    Raises: LocalSettingsError
    """
    try:
        values = json.loads(file.read_text("utf-8-sig"))["Values"]
        filled = {name: str(value) for name, value in values.items() if not is_placeholder(str(value))}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LocalSettingsError(f'{file.name} is not JSON with an object "Values": {error!r}') from error
    if "CLIENT_ID" in filled and ("AUTHORITY" in filled or "OIDC_AUTHORITY" in filled):
        return filled
    return None


def encryption_keys(file: Path) -> str:
    """The keys of this machine, made once: with the same keys, people stay signed in over restarts."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        # In one move, so that no half a file can stay behind.
        fresh = file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.touch(0o600)
        fresh.write_text(new_key(f"local-{secrets.token_hex(4)}") + "\n", "ascii")
        fresh.replace(file)
    return file.read_text("ascii").strip()
