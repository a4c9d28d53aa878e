"""One sample tenant for all tests of it, reset for each test."""

from collections.abc import Iterator

import pytest

from localdev.tenant import SampleTenant
from tests.localdev.tenant_actors import Clock, WebApp


@pytest.fixture(scope="session")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def _running(_clock: Clock) -> Iterator[SampleTenant]:
    with SampleTenant(clock=_clock) as tenant:
        yield tenant


@pytest.fixture
def clock(_clock: Clock) -> Iterator[Clock]:
    """The tenant's clock, set right again afterwards."""
    yield _clock
    _clock.ahead = 0.0


@pytest.fixture
def tenant(_running: SampleTenant, clock: Clock) -> SampleTenant:
    """A sample tenant in its first state."""
    _running.reset()
    return _running


@pytest.fixture
def web(tenant: SampleTenant) -> WebApp:
    """The web app, with nobody in its token cache."""
    return WebApp(tenant)
