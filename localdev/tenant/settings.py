"""How the tenant behaves. Every value can be changed while it runs."""

from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass
class TenantSettings:
    """Durations in seconds. `rotation`: reusable as Entra's refresh tokens, or strict as many OpenID providers'."""

    access_token_lifetime: float = 3600
    refresh_in: float | None = None
    rotation: Literal["reusable", "strict"] = "reusable"
    id_token_on_refresh: bool = True
    latency: float = 0
    clock_skew: float = 0
    code_lifetime: float = 600
    refresh_token_lifetime: float = 90 * 86400
    device_code_lifetime: float = 900
    device_interval: int = 5

    def change(self, **changes: Any) -> None:
        """Takes new values, all or none. Raises ValueError for an unknown name or an invalid value."""
        known = {each.name for each in fields(self)}
        for name, value in changes.items():
            if name not in known or not _sensible(name, value):
                raise ValueError(f"{name}={value!r} is no setting of the sample tenant")
        for name, value in changes.items():
            setattr(self, name, value)

    def reset(self) -> None:
        """Restores every default."""
        self.__dict__.update(vars(TenantSettings()))


def _sensible(name: str, value: Any) -> bool:
    if name == "rotation":
        return value in ("reusable", "strict")
    if name == "id_token_on_refresh":
        return isinstance(value, bool)
    if name == "refresh_in" and value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and (value >= 0 or name == "clock_skew")
