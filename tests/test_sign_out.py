"""A sign-out deletes the row that it read, and never one that was written after it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from localdev.azurite import Azurite
from shared.services import Services
from shared.session import Session
from shared.store import TableAccountStore
from signin.sign_in import sign_out
from tests.reliability.storage_proxy import StorageProxy
from tests.service_storage import ServiceShapedStorage
from tests.support import sign_in

DELETION = {"method": "POST", "path": r"^/\$batch", "body": "DELETE"}


@pytest.fixture
def road(azurite: Azurite) -> Iterator[StorageProxy]:
    """The road to the storage, on which requests can be held up."""
    with ServiceShapedStorage(azurite.connection_string) as proxy:
        yield proxy


@pytest.fixture
def app(make_services: Callable[..., Services], road: StorageProxy) -> Services:
    """The app behind it."""
    return make_services(tables=road.client())


@pytest.fixture
def other(make_services: Callable[..., Services]) -> Services:
    """Another instance, with a road of its own."""
    return make_services()


@pytest.fixture
def session(app: Services) -> Session:
    """Ada's, after she signed in."""
    account = sign_in(app)
    return Session(account.account_id, account.session_generation, "Ada", (), app.now(), app.now())


def test_a_sign_out_that_is_held_up_deletes_no_newer_sign_in(
    app: Services, other: Services, road: StorageProxy, session: Session
) -> None:
    """Its person signed out by another way and in again, before the deletion arrived."""

    def sign_out_and_in_again() -> None:
        sign_out(session, other, keep_background_work=False)
        sign_in(other)

    road.add(**DELETION, before=sign_out_and_in_again, times=1)
    sign_out(session, app, keep_background_work=False)
    known = other.store.get(session.account_id)
    assert known is not None
    assert known.session_generation != session.generation


@pytest.mark.parametrize("keep", [False, True])
def test_a_row_that_changes_meanwhile_does_not_keep_a_session(
    app: Services, other: Services, road: StorageProxy, session: Session, *, keep: bool
) -> None:
    """A sweep saved it between the read and the write: it is read again."""

    def save() -> None:
        known = other.store.get(session.account_id)
        assert known is not None
        other.store.save(replace(known, username="meanwhile"))

    trouble = road.add(**DELETION | {"body": "PUT|DELETE"}, before=save, times=1)
    sign_out(session, app, keep_background_work=keep)
    assert trouble.happened == 1
    known = other.store.get(session.account_id)
    if keep:
        assert known is not None
        assert known.username == "meanwhile"
        assert known.session_generation != session.generation
    else:
        assert known is None


@pytest.mark.parametrize("keep", [False, True])
def test_an_odd_row_that_is_replaced_meanwhile_stays(
    app: Services, other: Services, road: StorageProxy, session: Session, *, keep: bool
) -> None:
    """The person signed in over it, before the deletion of the odd row arrived."""
    assert isinstance(other.store, TableAccountStore)
    known = other.store.get(session.account_id)
    assert known is not None
    keys = {"PartitionKey": known.slot, "RowKey": known.account_id}
    other.tables.get_table_client("Accounts").update_entity(keys | {"State": "half-asleep"})
    road.add(**DELETION, before=lambda: sign_in(other), times=1)
    sign_out(session, app, keep_background_work=keep)
    assert other.store.get(session.account_id) is not None
