"""Device codes: a device shows a short code, a person types it into a browser elsewhere (RFC 8628)."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localdev.tenant.errors import refuse
from localdev.tenant.grants import SignIn
from localdev.tenant.journal import Journal
from localdev.tenant.settings import TenantSettings

_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


@dataclass
class Device:
    """One device that waits. `sign_in` is set once a person has allowed it."""

    client_id: str
    tids: tuple[str, ...]
    scope: str
    user_code: str
    expires: float
    sign_in: SignIn | None = None
    declined: bool = False


class Devices:
    """Every waiting device, by its device code. `page` is where people enter the user code."""

    def __init__(self, clock: Callable[[], float], settings: TenantSettings, journal: Journal) -> None:
        self._clock, self._settings, self._journal = clock, settings, journal
        self._devices: dict[str, Device] = {}
        self.page = ""

    def start(self, client_id: str, tids: tuple[str, ...], scope: str) -> dict[str, Any]:
        """The device authorization endpoint's answer."""
        now, lifetime = self._clock(), self._settings.device_code_lifetime
        self._devices = {code: each for code, each in self._devices.items() if each.expires + 3600 > now}
        device_code, user_code = secrets.token_urlsafe(48), "".join(secrets.choice(_LETTERS) for _ in range(9))
        self._devices[device_code] = Device(client_id, tids, scope, user_code, now + lifetime)
        self._journal.issued("device_code", device_code, at=now)
        return {
            "user_code": user_code,
            "device_code": device_code,
            "verification_uri": self.page,
            "expires_in": int(lifetime),
            "interval": self._settings.device_interval,
            "message": f"To sign in, open {self.page} in a browser and enter the code {user_code}.",
        }

    def waiting(self, user_code: str) -> Device | None:
        """The waiting device that shows this code, or None."""
        wanted = user_code.strip().upper()
        found = (each for each in self._devices.values() if each.user_code == wanted and each.sign_in is None)
        return next((each for each in found if not each.declined and each.expires > self._clock()), None)

    def peek(self, device_code: str) -> SignIn | None:
        """The sign-in of the person who allowed it."""
        device = self._devices.get(device_code)
        return device.sign_in if device else None

    def redeem(self, device_code: str, client_id: str) -> SignIn:
        """Returns the sign-in, once. Raises EntraError while there is none."""
        device = self._devices.get(device_code)
        if device is None or device.client_id != client_id:
            raise refuse(70018)
        if device.declined:
            raise refuse(70017)
        if device.expires <= self._clock():
            raise refuse(70020)
        if device.sign_in is None:
            raise refuse(70016)
        del self._devices[device_code]
        return device.sign_in
