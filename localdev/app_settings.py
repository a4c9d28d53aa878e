"""The settings that `dev.py run` passes to the app: the sample tenant's, or a real tenant's from
local.settings.json."""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path

from shared.sealing import new_key

SAMPLE_PACE: Mapping[str, str] = {
    "ADMIN_ROLE": "Understudy.Operator",
    # Short enough to watch.
    "SWEEP_SCHEDULE": "0 * * * * *",
    "SWEEP_EVERY": "2m",
    "ABSENT_AFTER": "1m",
}


class LocalSettingsError(Exception):
    """local.settings.json can't be read. The message says why."""


def is_placeholder(value: str) -> bool:
    """Whether a value is still the one in local.settings.json.example."""
    return not value.strip() or "<" in value


def of_real_tenant(file: Path) -> dict[str, str] | None:
    """The values of local.settings.json without placeholders, or None when they name no real tenant.

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
    """This machine's encryption keys. They are made once, so that people stay signed in after a restart."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        # Renaming is atomic: no half-written file can stay behind.
        fresh = file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.touch(0o600)
        fresh.write_text(new_key(f"local-{secrets.token_hex(4)}") + "\n", "ascii")
        fresh.replace(file)
    return file.read_text("ascii").strip()
