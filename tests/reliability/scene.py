"""One person, the app, everything around it that can fail, and what the fault matrix checks afterwards."""

import html
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from azure.data.tables import TableServiceClient

from localdev.browser import Browser
from localdev.tenant import SampleTenant
from shared.accounts import Account, State
from shared.clients.http import HttpClient
from shared.identity.rate_limit import RateLimit
from shared.store import TableAccountStore
from tests.reliability.storage_proxy import StorageProxy
from tests.running_app import RunningApp, text_of

BEN = "ben@contoso.example"
SHORT_SECONDS = 1.5  # our time-outs in tests that wait for a time-out
_NOT_OURS = ("azure", "urllib3", "asyncio", "uvicorn")


@dataclass
class Scene:
    """The app with one person signed in, whose turn in a sweep has come."""

    start_app: Callable[..., RunningApp]
    tenant: SampleTenant
    proxy: StorageProxy
    tables: TableServiceClient
    direct: TableAccountStore
    caplog: pytest.LogCaptureFixture
    app: RunningApp = field(init=False)
    browser: Browser = field(init=False)
    before: Account = field(init=False)

    def begin(self) -> None:
        """Ben signs in and leaves. Only his slot is due today."""
        self.restart()
        hint = {"PartitionKey": "slots", "NextDueAt": self.app.clock() + timedelta(days=1)}
        rows = [("create", hint | {"RowKey": slot.name}) for slot in self.direct.slots()]
        self.tables.get_table_client("Slots").submit_transaction(rows)
        self.browser = self.app.browser()
        self.browser.sign_in(BEN)
        self.before = self.account
        self.app.clock.move(minutes=6)

    def restart(self, **changes: str) -> None:
        """Restarts the app, perhaps with other settings. Browsers keep their sessions."""
        self.app = self.start_app(TABLES_CONNECTION_STRING=self.proxy.connection_string, **changes)
        made, clock = self.app.services, self.app.clock
        made.wait = clock.wait
        made.tables = self.proxy.client()
        made.http = HttpClient(
            ca_bundle=made.settings.ca_bundle, connect_seconds=SHORT_SECONDS, longest_seconds=SHORT_SECONDS, clock=clock
        )
        made.rate_limit = RateLimit(clock=lambda: clock().timestamp())

    @property
    def records(self) -> list[logging.LogRecord]:
        """What was logged since the log was cleared."""
        return list(self.caplog.records)

    @property
    def account(self) -> Account:
        """Ben's row, read directly from the storage."""
        (account,) = self.everybody()
        return account

    def everybody(self) -> list[Account]:
        """All rows, read directly from the storage."""
        far = datetime.max.replace(year=2100, tzinfo=self.app.clock().tzinfo)
        rows = self.tables.get_table_client("Accounts").list_entities(select=["PartitionKey"])
        slots = sorted({row["PartitionKey"] for row in rows})
        return [each for slot in slots for page in self.direct.due(slot, far) for each in page]

    def write(self, **changes: Any) -> None:
        """Changes Ben's row from outside the app."""
        self.direct.save(replace(self.account, **changes))

    def fault(self, kind: str, where: str = "token", **facts: Any) -> None:
        """Puts a fault of the tenant or Graph in force."""
        self.tenant.add_fault(where, kind, **facts)

    def refuse(self, error: str, code: int = 0) -> None:
        """The token endpoint refuses Ben with this OAuth error and AADSTS number."""
        body: dict[str, Any] = {"error": error, "error_description": f"AADSTS{code}: refused" if code else "refused"}
        self.fault("oauth_error", body=body | ({"error_codes": [code]} if code else {}), grant="refresh_token")

    def happens_to_ben(self, state: str) -> None:
        """Puts Ben in a state of the tenant's directory."""
        self.tenant.change_person(BEN, state=state)

    def mend(self) -> None:
        """Ends all faults. Stored data stays as it is."""
        self.tenant.clear_faults()
        self.tenant.change_person(BEN, state=None)
        self.tenant.change_app(self.tenant.client_id, secret_state="valid", removed_from_tenants=[])
        self.proxy.clear()

    def start_anew(self) -> None:
        """Does `mend`, and restarts the app with its first settings, so that MSAL forgets a 400 that it remembers for a
        minute."""
        self.mend()
        self.restart()

    def loud_lines(self) -> list[logging.LogRecord]:
        """What alerts an operator: records at WARNING or above, ours and the host's."""
        return [
            each for each in self.records if each.levelno >= logging.WARNING and not each.name.startswith(_NOT_OURS)
        ]

    def leaked(self) -> set[str]:
        """Secrets that reached the log."""
        formatter = logging.Formatter()
        text = "\n".join(formatter.format(each) for each in self.records)
        return {secret for secret in self.tenant.issued_secrets() if secret in text}

    def me(self) -> requests.Response:
        """Opens Ben's profile."""
        return self.browser.get("/me")

    def is_active(self) -> bool:
        """Whether the app acts for Ben."""
        return self.account.state is State.ACTIVE


def words_of(page: requests.Response) -> str:
    """The text of a page."""
    return html.unescape(text_of(page))
