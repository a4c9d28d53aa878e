"""A desktop with the sample tenant, with or without the app."""

from pathlib import Path

import pytest

from localdev.tenant import SampleTenant
from tests.desktop.desk import Desk
from tests.running_app import RunningApp


@pytest.fixture
def desk(sample_tenant: SampleTenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desktop without the app: for signing in, and for Graph."""
    # requests always reads this variable. Loopback addresses need no proxy.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(sample_tenant.ca_bundle))
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    sample_tenant.change_settings(device_interval=1, access_token_lifetime=3600)
    return Desk.at(sample_tenant, tmp_path)


@pytest.fixture
def desk_and_app(desk: Desk, app: RunningApp) -> Desk:
    """A desktop, and the app's API."""
    desk.environ["API_URL"] = app.url
    return desk
