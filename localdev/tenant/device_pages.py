"""The pages behind a device code: enter it, choose a person, allow or decline (RFC 8628, 3.3)."""

from starlette.requests import Request
from starlette.responses import Response

from localdev.tenant import pages
from localdev.tenant.consenting import Consenting
from localdev.tenant.devices import Device
from localdev.tenant.errors import EntraError
from localdev.tenant.grants import SignIn
from localdev.tenant.people import Person
from localdev.tenant.tenancy import Tenancy
from localdev.tenant.token_endpoint import read_form

_UNKNOWN = "That code didn't work. Check the code and try again."


class DevicePages:
    """The handlers."""

    def __init__(self, tenancy: Tenancy) -> None:
        self._tenancy = tenancy
        self._consenting = Consenting(tenancy)

    async def enter(self, request: Request) -> Response:
        """GET /device."""
        return pages.enter_code(request.query_params.get("user_code", ""))

    async def code(self, request: Request) -> Response:
        """POST /device: user_code."""
        user_code = (await read_form(request)).get("user_code", "")
        device = self._tenancy.devices.waiting(user_code)
        if device is None:
            return pages.enter_code(user_code, _UNKNOWN)
        return pages.choose_person(
            self._tenancy.people.of(device.tids),
            action="/device/choose",
            flow=self._tenancy.tickets.seal("device", {"user_code": device.user_code}),
            app_name=self._tenancy.apps.get(device.client_id).name,
        )

    async def choose(self, request: Request) -> Response:
        """POST /device/choose: flow, username."""
        form = await read_form(request)
        device, _ = self._resume(form)
        if device is None:
            return pages.enter_code("", _UNKNOWN)
        try:
            person = self._tenancy.people.get(form.get("username", ""))
            person.check_may_sign_in()
        except EntraError as error:
            return pages.problem(str(error), 403)
        if person not in self._tenancy.people.of(device.tids):
            return pages.problem(f"{person.username} is not in this organisation.", 403)
        refused = self._consenting.refusal(device.client_id, device.scope, person, _tid(device, person))
        if refused:
            return pages.problem(str(refused), 403)
        content = {"user_code": device.user_code, "username": person.username}
        return pages.consent(
            person,
            self._consenting.words(device.client_id, device.scope),
            action="/device/answer",
            flow=self._tenancy.tickets.seal("device", content),
            app_name=self._tenancy.apps.get(device.client_id).name,
        )

    async def answer(self, request: Request) -> Response:
        """POST /device/answer: flow, answer=accept | cancel."""
        form = await read_form(request)
        device, person = self._resume(form)
        if device is None or person is None:
            return pages.enter_code("", _UNKNOWN)
        if form.get("answer") != "accept":
            device.declined = True
            return pages.page("Declined", "<p>You can close this page.</p>")
        self._allow(device, person)
        return pages.page("You have signed in", "<p>Return to your device. You can close this page.</p>")

    def _allow(self, device: Device, person: Person) -> None:
        tid = _tid(device, person)
        person.signed_in()
        self._consenting.give(device.client_id, device.scope, person, tid)
        self._tenancy.journal.count("sign_ins", person.username)
        device.sign_in = SignIn(
            client_id=device.client_id,
            username=person.username,
            tid=tid,
            scope=device.scope,
            events=person.events,
            auth_time=self._tenancy.now(),
        )

    def _resume(self, form: dict[str, str]) -> tuple[Device | None, Person | None]:
        content = self._tenancy.tickets.open("device", form.get("flow", "")) or {}
        device = self._tenancy.devices.waiting(str(content.get("user_code", "")))
        return device, self._tenancy.people.find(str(content.get("username", "")))


def _tid(device: Device, person: Person) -> str:
    return device.tids[0] if len(device.tids) == 1 else person.home
