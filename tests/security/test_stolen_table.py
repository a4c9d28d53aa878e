"""What people who can read or write the tables still can't do."""

import pytest
from azure.data.tables import TableClient, UpdateMode

from shared.accounts import State, slot_of
from shared.errors import RowUnreadable, SealError
from shared.sealing import KeyRing, new_key
from shared.store.tables.rows import row_key
from tests.running_app import RunningApp
from tests.security.storage import cache_of, rows, stolen

ADA, BEN = "ada@contoso.example", "ben@contoso.example"


@pytest.fixture
def two(app: RunningApp) -> RunningApp:
    """Ada and Ben, signed in and swept once."""
    for username in (ADA, BEN):
        app.browser().sign_in(username)
    app.clock.move(minutes=6)
    assert app.counts() == {"fresh": 2}
    return app


def table(app: RunningApp) -> TableClient:
    """The table of accounts, read and written directly."""
    return app.services.tables.get_table_client("Accounts")


def row_of(app: RunningApp, username: str) -> dict[str, object]:
    """A person's row."""
    return next(row for row in rows(table(app)) if row["Username"] == username)


def test_stolen_tables_hold_no_secret(two: RunningApp) -> None:
    """Not one token, code, cookie or key, in any table, in any of the encodings that a token has."""
    loot = stolen(two.services.tables)
    secrets = two.tenant.issued_secrets()
    assert len(secrets) > 8
    assert not [secret for secret in secrets if secret.encode() in loot]
    assert b"eyJ" not in loot


def test_stolen_blobs_open_with_no_other_key(two: RunningApp) -> None:
    """Another key under the same id opens none either."""
    stranger = KeyRing.parse(new_key("k1"))
    for account in two.accounts():
        with pytest.raises(SealError):
            stranger.open_cache(account.sealed_cache, account.account_id)


def test_swapped_blobs_open_in_neither_row(two: RunningApp) -> None:
    """Both people are `unreadable`; nobody acts with the other's tokens, and the right blobs restore them."""
    ada, ben = row_of(two, ADA), row_of(two, BEN)
    redeemed = two.tenant.log()["refresh_tokens_redeemed"]
    table(two).update_entity(ada | cache_of(ben), mode=UpdateMode.REPLACE)
    table(two).update_entity(ben | cache_of(ada), mode=UpdateMode.REPLACE)
    two.clock.move(hours=2)
    assert two.counts() == {"unreadable": 2}
    assert {account.state for account in two.accounts()} == {State.UNREADABLE}
    assert two.tenant.log()["refresh_tokens_redeemed"] == redeemed
    for mine in (ada, ben):
        table(two).update_entity(mine, mode=UpdateMode.MERGE)
    two.clock.move(hours=2)
    assert two.counts() == {"fresh": 2}


def test_somebodys_row_under_another_key_lets_nobody_in(two: RunningApp) -> None:
    """Ben, who can write to the table, puts Ada's whole row where his own was, with his own session's generation. He
    still does not become Ada."""
    ben = two.browser()
    ben.sign_in(BEN)
    ada_row, ben_row = row_of(two, ADA), row_of(two, BEN)
    mine = {name: ben_row[name] for name in ("PartitionKey", "RowKey", "SessionGeneration")}
    table(two).upsert_entity(ada_row | mine, mode=UpdateMode.REPLACE)
    answer = ben.get("/me", Accept="application/json")
    assert (answer.status_code, answer.json()["code"]) == (401, "row_unreadable")
    assert ADA not in answer.text


def test_row_that_says_another_account_is_refused_by_the_store(two: RunningApp) -> None:
    """A broken row is not an absent one."""
    ada = two.account_of(ADA)
    assert ada is not None
    row = row_of(two, ADA) | {"PartitionKey": slot_of("somebody.else"), "RowKey": row_key("somebody.else")}
    table(two).create_entity(row)
    with pytest.raises(RowUnreadable, match="its keys are not those of its AccountId"):
        two.services.store.get("somebody.else")


def test_old_row_put_back_gives_its_owner_no_more_than_they_had(two: RunningApp) -> None:
    """Not prevented (docs/security.md): with write access to the table an old row can be put back, and it opens. It
    still acts only for its owner, with what the tenant still accepts."""
    before = row_of(two, ADA)
    two.clock.move(hours=2)
    assert two.counts()["fresh"] == 2
    table(two).update_entity(before, mode=UpdateMode.REPLACE)
    ada = two.account_of(ADA)
    assert ada is not None
    cache = two.services.settings.key_ring.open_cache(ada.sealed_cache, ada.account_id)
    assert BEN not in cache
    two.tenant.change_person(ADA, state="revoked")
    two.clock.move(hours=2)
    assert two.counts() == {"fresh": 1, "sign_in_required": 1}
