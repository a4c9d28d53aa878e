"""The sample tenant as one object, for tests and demos in the same process."""

import socket
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from starlette.types import ASGIApp

from localdev import tls as tls_files
from localdev.control.commands import Commands
from localdev.control.data_commands import DataCommands
from localdev.control.endpoint import Control
from localdev.sample_api.endpoint import PATH
from localdev.tenant.apps import CALLBACK, DESKTOP_CLIENT_ID, SAMPLE_API_CLIENT_ID, WEB_CLIENT_ID
from localdev.tenant.certificates import ClientCertificate
from localdev.tenant.listener import Door, Listener, bind
from localdev.tenant.people import CONTOSO
from localdev.tenant.routes import back_channel, front
from localdev.tenant.tenancy import Tenancy

_T = TypeVar("_T")


class SampleTenant:
    """Serves from its own thread between `start` and `stop`, or inside `with`. Any thread may call its methods.

    Args:
        state: folder that keeps keys, secrets, consents and people's states; None: memory only.
        tls: files to serve with; None: made in `state`, or in a temporary folder.
        port, page_port: https and http port; 0 takes a free one.
        clock: the time in seconds since 1970; tests pass their own.
        redirect_uris: further ones of the web app, beside http://localhost:<any>/signin/callback.
        keep_secrets: remember every issued secret for `issued_secrets`; False in a long-lived tenant.
        around: wraps the app that programs talk to, for whoever records what is asked and answered.
    """

    client_id = WEB_CLIENT_ID
    desktop_client_id = DESKTOP_CLIENT_ID
    tenant_id = CONTOSO.tid

    def __init__(
        self,
        *,
        state: Path | None = None,
        tls: tls_files.TlsFiles | None = None,
        port: int = 0,
        page_port: int = 0,
        clock: Callable[[], float] = time.time,
        redirect_uris: Iterable[str] = (),
        keep_secrets: bool = True,
        around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    ) -> None:
        self._around = around
        self._tenancy = Tenancy(folder=state, clock=clock, redirect_uris=redirect_uris, keep_secrets=keep_secrets)
        self._commands = Commands(self._tenancy)
        self.data = DataCommands(self._tenancy, self._do)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._state, self._given_tls = state, tls
        self._tls: tls_files.TlsFiles | None = None
        self._ports = (port, page_port)
        self._listener: Listener | None = None

    def start(self) -> None:
        """Returns when requests are answered. OSError when a port is in use."""
        back, page = self._bind()
        self._tls = self._given_tls or tls_files.ensure((self._state or self._folder()) / "tls")
        self._tenancy.faults.start()
        self._tenancy.back = f"https://localhost:{back[0].getsockname()[1]}"
        self._tenancy.page = f"http://localhost:{page[0].getsockname()[1]}"
        self._tenancy.devices.page = f"{self._tenancy.page}/device"
        doors = [
            Door(self._around(back_channel(self._tenancy)), back, self._tls),
            Door(front(self._tenancy, Control(self._commands, DataCommands(self._tenancy))), page),
        ]
        self._listener = Listener(doors, self._tenancy.faults.stop)
        self._listener.start()

    def stop(self) -> None:
        """Returns when every connection is closed. Requests that hang are reset."""
        if self._listener:
            self._listener.stop()
            self._listener = None
        if self._temporary:
            self._temporary.cleanup()
            self._temporary = None

    def __enter__(self) -> "SampleTenant":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # Where it is, and which settings an app needs.

    @property
    def authority(self) -> str:
        """Contoso's authority; `authority_of` gives others."""
        return self.authority_of(CONTOSO.tid)

    def authority_of(self, segment: str) -> str:
        """The authority for a tenant ID, a domain, common or organizations."""
        return f"{self._tenancy.back}/{segment}"

    @property
    def oidc_authority(self) -> str:
        """The plain OpenID provider's issuer."""
        return f"{self._tenancy.back}/oidc"

    @property
    def page_url(self) -> str:
        """Where browsers go; the control API is under /control."""
        return self._tenancy.page

    @property
    def graph_url(self) -> str:
        """The sample Graph, without /v1.0."""
        return self._tenancy.graph

    @property
    def sample_api_url(self) -> str:
        """The sample API's address; /items comes after it."""
        return self._tenancy.page + PATH

    @property
    def sample_api(self) -> str:
        """The sample API as a resource: its scopes are written after it, for instance <this>/Items.ReadWrite."""
        return f"api://{SAMPLE_API_CLIENT_ID}"

    @property
    def ca_bundle(self) -> Path:
        """A PEM file with the CA behind the https addresses."""
        assert self._tls, "it has not been started"
        return self._tls.ca_bundle

    @property
    def client_secret(self) -> str:
        """The web app's secret."""
        return self._tenancy.apps.web.secret

    def settings(self, redirect_base: str) -> dict[str, str]:
        """App settings for an app whose public URL is `redirect_base`; its callback is registered."""
        callback = redirect_base.rstrip("/") + CALLBACK
        self._do(lambda: self._tenancy.apps.web.redirect_uris.add(callback))
        return {
            "CLIENT_ID": self.client_id,
            "CLIENT_SECRET": self.client_secret,
            "AUTHORITY": self.authority,
            "GRAPH_URL": self.graph_url,
            "SCOPES": "User.Read",
            "REQUESTS_CA_BUNDLE": str(self.ca_bundle),
        }

    # As in the control API (see localdev.control). `data` has the rest: people's mail, tasks and pushed items.

    def change_person(self, username: str, **changes: Any) -> dict[str, Any]:
        """`state` (see people.STATES; None undoes all), `continuous_access`, `roles`, `profile`."""
        return self._do(lambda: self._commands.change_person(username, **changes))

    def add_person(self, username: str, name: str, **facts: Any) -> dict[str, Any]:
        """A new person; facts as for people.make."""
        return self._do(lambda: self._commands.add_person(username, name, **facts))

    def people(self) -> list[dict[str, Any]]:
        """Everybody: username, name, state, roles, profile, oids by tenant ID (home first), password."""
        return self._do(self._commands.people)

    def withdraw_consent(self, username: str, scope: str) -> None:
        """Takes single scopes of a person back; the others stay."""
        self._do(lambda: self._commands.withdraw_consent(username, scope))

    def change_tenant(self, tenant: str, *, consent: str) -> None:
        """Who may consent in a tenant: see consents.POLICIES."""
        self._do(lambda: self._commands.change_tenant(tenant, consent=consent))

    def add_fault(self, where: str, kind: str, **facts: Any) -> None:
        """See faults.Fault."""
        self._do(lambda: self._commands.add_fault(where=where, kind=kind, **facts))

    def clear_faults(self) -> None:
        """Removes all faults and resets the requests that hang."""
        self._do(self._commands.clear_faults)

    def change_settings(self, **changes: Any) -> dict[str, Any]:
        """See settings.TenantSettings."""
        return self._do(lambda: self._commands.change_settings(**changes))

    def change_app(self, client_id: str, **changes: Any) -> None:
        """`secret_state`, `removed_from_tenants`."""
        self._do(lambda: self._commands.change_app(client_id, **changes))

    def log(self) -> dict[str, Any]:
        """Counts; see journal."""
        return self._do(self._commands.log)

    def reset(self) -> None:
        """Nothing has happened to anybody, nobody consented, no fault, default settings, counts at zero."""
        self._do(self._commands.reset)

    def issued_secrets(self) -> set[str]:
        """Every code, token, cookie and secret that was issued."""
        return self._do(self._tenancy.journal.secrets)

    def open_requests(self) -> int:
        """How many requests are being answered now, including those that hang."""
        return self._do(self._listener.open_requests) if self._listener else 0

    # Credentials other than the secret.

    def make_certificate(self) -> ClientCertificate:
        """A new certificate of the web app, registered."""
        made = ClientCertificate.make("Understudy")
        self._do(lambda: self._tenancy.apps.web.certificates.append(made.parsed))
        return made

    def register_certificate(self, pem: str) -> None:
        """Registers a PEM certificate of the web app."""
        parsed = ClientCertificate.parse(pem)
        self._do(lambda: self._tenancy.apps.web.certificates.append(parsed))

    def managed_identity_assertion(self, **changes: Any) -> str:
        """What a managed identity presents for the web app. `changes` replaces claims, for forged ones."""
        return self._do(lambda: self._tenancy.workloads.assertion(now=self._tenancy.now(), **changes))

    def managed_identity_environment(self) -> dict[str, str]:
        """Environment variables that show an Azure SDK the managed identity endpoint."""
        endpoint = f"{self._tenancy.page}/managed-identity/token"
        return {"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": self._tenancy.workloads.header}

    def sign(self, claims: dict[str, Any], *, typ: str = "JWT") -> str:
        """Signs any claims with the tenant's key, for forged tokens."""
        return self._do(lambda: self._tenancy.signing.sign(claims, typ=typ))

    def _do(self, work: Callable[[], _T]) -> _T:
        return self._listener.call(work) if self._listener else work()

    def _bind(self) -> tuple[list[socket.socket], list[socket.socket]]:
        back = bind(self._ports[0])
        try:
            return back, bind(self._ports[1])
        except OSError:
            for each in back:
                each.close()
            raise

    def _folder(self) -> Path:
        self._temporary = tempfile.TemporaryDirectory(prefix="sample-tenant-")
        return Path(self._temporary.name)
