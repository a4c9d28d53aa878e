"""Faults of the storage account, and writes of somebody else in between."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.reliability.matrix import TRY_AGAIN, Due, Level, Row, Seen, Swept
from tests.reliability.scene import Scene

CLAIM: dict[str, Any] = {"method": "PUT", "path": r"^/Slots\("}
FINISH: dict[str, Any] = CLAIM | {"skip": 1}
SCAN: dict[str, Any] = {"method": "GET", "path": r"^/Accounts\(\)"}
BATCH: dict[str, Any] = {"method": "POST", "path": r"^/\$batch", "body": "/Accounts"}
LISTS: dict[str, Any] = BATCH | {"body": "/Due"}
READ_LISTS: dict[str, Any] = {"method": "GET", "path": r"^/Due\(\)"}
RECORD: dict[str, Any] = {"method": "POST", "path": r"^/Sweeps"}
SAVE: dict[str, Any] = BATCH | {"body": r"PUT http\S*/Accounts"}
BUSY: dict[str, Any] = {"status": 503, "code": "ServerBusy"}
FORBIDDEN: dict[str, Any] = {"status": 403, "code": "AuthorizationFailure"}
BROKEN: dict[str, Any] = {"status": 500, "code": "InternalError"}
DELETING: dict[str, Any] = {"status": 409, "code": "TableBeingDeleted"}
REFUSED: dict[str, Any] = {"status": 400, "code": "InvalidInput"}

_FAILS = "Storage fails"
_BETWEEN = "Somebody else writes in between"


def _trouble(**facts: Any) -> Callable[[Scene], None]:
    def happen(scene: Scene) -> None:
        scene.proxy.add(**facts)

    return happen


def _swept(text: str, *, outcome: str = "", due: Due = Due.STILL) -> Swept:
    line = rf"sweep: {outcome + '=1' if outcome else 'nobody'} .*stopped: .*{text}"
    return Swept(outcome=outcome, due=due, level=Level.ERROR, line=line, stopped=text)


def _seen(text: str) -> Seen:
    return Seen(status=503, code="storage", words=TRY_AGAIN, line=rf"503 storage: storage failed at {text}")


def _fails(fault: str, *, swept: Swept | None = None, seen: Seen | None = None, **trouble: Any) -> Row:
    return Row(group=_FAILS, fault=fault, happen=_trouble(**trouble), swept=swept, seen=seen)


_NO_SLOTS = Swept(
    outcome="", due=Due.STILL, level=Level.ERROR, line=r"Executed 'Functions.sweep' \(Failed", stopped="", fails=True
)


def _drop(table: str) -> Callable[[Scene], None]:
    return lambda scene: scene.tables.delete_table(table)


FAILS = (
    _fails("unreachable", swept=_NO_SLOTS, seen=_seen("read account")),
    _fails("403", swept=_NO_SLOTS, seen=_seen("read account: 403"), **FORBIDDEN),
    _fails("409, the tables are being deleted", swept=_NO_SLOTS, seen=_seen("read account: 409"), **DELETING),
    _fails("500", swept=_NO_SLOTS, seen=_seen("read account: 500"), **BROKEN),
    _fails("503 server busy", swept=_NO_SLOTS, seen=_seen("read account: 503"), **BUSY),
    _fails("503 when a sweep claims a slot", swept=_swept("slot .* write slot: 503"), **CLAIM, **BUSY),
    _fails("409 when a sweep claims a slot", swept=_swept("slot .* write slot: 409"), **CLAIM, **DELETING),
    _fails("503 when a sweep reads who is due", swept=_swept("slot .* scan slot: 503"), **SCAN, **BUSY),
    _fails("503 when a sweep reads the due lists", swept=_swept("slot .* read due lists: 503"), **READ_LISTS, **BUSY),
    _fails("403 when a sweep saves tokens", swept=_swept("write accounts: 403"), **BATCH, **FORBIDDEN),
    _fails("409 when a sweep saves tokens", swept=_swept("write accounts: 409"), **BATCH, **DELETING),
    _fails(
        "400 when a sweep saves tokens: the storage refuses the row itself",
        swept=Swept(outcome="conflict", due=Due.STILL, level=Level.ERROR, line="what is stored stays: .* 400"),
        **BATCH,
        **REFUSED,
    ),
    _fails("500 when a sweep saves tokens", swept=_swept("write accounts: 500"), **BATCH, **BROKEN),
    _fails("no connection when a sweep saves tokens", swept=_swept("write accounts"), **BATCH),
    _fails(
        "503 when a sweep saves what the tasks did",
        swept=_swept("write accounts: 503", due=Due.TURN),
        **BATCH,
        **BUSY,
        skip=1,
    ),
    _fails(
        "503 when a sweep lists who is due next",
        swept=_swept("write due lists: 503", outcome="fresh", due=Due.TURN),
        **LISTS,
        **BUSY,
        skip=1,
    ),
    _fails(
        "503 when a sweep gives a slot back",
        swept=_swept("write slot: 503", outcome="fresh", due=Due.TURN),
        **FINISH,
        **BUSY,
    ),
    _fails(
        "503 when a sweep keeps its record",
        swept=_swept("record sweep: 503", outcome="fresh", due=Due.TURN),
        **RECORD,
        **BUSY,
    ),
    _fails("503 when a request takes the lease", seen=_seen("write accounts: 503"), **BATCH, **BUSY),
    _fails("409 when a request takes the lease", seen=_seen("write accounts: 409"), **BATCH, **DELETING),
    _fails("409 when a request saves the new tokens", seen=_seen("write accounts: 409"), **SAVE, **DELETING),
    _fails("503 when a request saves the new tokens", seen=_seen("write accounts: 503"), **SAVE, **BUSY),
    _fails("no connection when a request saves the new tokens", seen=_seen("write accounts"), **SAVE),
    Row(
        group=_FAILS,
        fault="the tables Slots and Sweeps are missing",
        happen=lambda scene: (_drop("Slots")(scene), _drop("Sweeps")(scene))[0],
        swept=Swept(outcome="fresh", due=Due.TURN, level=Level.NONE, line=""),
        seen=Seen(),
    ),
    _fails(
        "the answer to a sweep's save is lost",
        swept=Swept(outcome="fresh", due=Due.TURN, level=Level.NONE, line=""),
        **BATCH,
        forward=True,
        times=1,
    ),
    _fails(
        "the answer to a sweep's lists is lost",
        swept=Swept(outcome="fresh", due=Due.TURN, level=Level.NONE, line=""),
        **LISTS,
        skip=1,
        forward=True,
        times=1,
    ),
    _fails("the answer to a request's save is lost", seen=Seen(), **SAVE, forward=True, times=1),
)


def _between(
    fault: str,
    where: dict[str, Any],
    write: Callable[[Scene], None],
    *,
    swept: Swept | None = None,
    seen: Seen | None = None,
    api: int = 0,
) -> Row:
    def happen(scene: Scene) -> None:
        scene.proxy.add(**where, before=lambda: write(scene), times=1)

    return Row(group=_BETWEEN, fault=fault, happen=happen, swept=swept, seen=seen, api=api)


def _is_here(scene: Scene) -> None:
    scene.direct.touch(replace(scene.account, last_activity=scene.app.clock()))


def _signs_in(scene: Scene) -> None:
    now = scene.app.clock()
    known = scene.account
    scene.write(cache_version=known.cache_version + 1, username="new sign-in", due_at=now + timedelta(minutes=5))


def _signs_out_and_in(scene: Scene) -> None:
    gone = scene.account
    scene.direct.delete(gone.account_id)
    fresh = replace(gone, etag=None, username="new sign-in", due_at=scene.app.clock() + timedelta(minutes=5))
    scene.direct.save(replace(fresh, cache_version=gone.cache_version // 2 + 7))


def _signs_out(scene: Scene) -> None:
    scene.direct.delete(scene.before.account_id)


def _claims(scene: Scene) -> None:
    slot = next(each for each in scene.direct.slots() if each.name == scene.before.slot)
    scene.direct.write_slot(slot.claim("another", scene.app.clock()))


def _claims_first(scene: Scene) -> None:
    scene.tables.get_table_client("Slots").delete_entity("slots", scene.before.slot)
    scene.proxy.add(method="POST", path=r"^/Slots", before=lambda: _claims(scene), times=1)


def _quiet(outcome: str, *, due: Due = Due.TURN, then: str = "fresh") -> Swept:
    return Swept(outcome=outcome, due=due, level=Level.NONE, line="", then=then)


BETWEEN = (
    _between("another sweep claims the slot", CLAIM, _claims, swept=_quiet("", due=Due.STILL)),
    Row(
        group=_BETWEEN,
        fault="another sweep claims the slot, which had no row yet (409)",
        happen=_claims_first,
        swept=_quiet("", due=Due.STILL),
    ),
    _between("the person is here (412 on the sweep's tokens)", BATCH, _is_here, swept=_quiet("fresh")),
    _between("the person is here (412 on what the tasks did)", BATCH | {"skip": 1}, _is_here, swept=_quiet("fresh")),
    _between(
        "the person signs in again (412 on the sweep's tokens)",
        BATCH,
        _signs_in,
        swept=_quiet("conflict", due=Due.THEIRS),
    ),
    _between(
        "the person signs out and in again (412 on the sweep's tokens)",
        BATCH,
        _signs_out_and_in,
        swept=_quiet("conflict", due=Due.THEIRS),
    ),
    _between(
        "the person signs out (404 on the sweep's tokens)",
        BATCH,
        _signs_out,
        swept=_quiet("conflict", due=Due.GONE, then=""),
    ),
    _between(
        "somebody lowers the slot's hint (412 when the sweep gives it back)",
        FINISH,
        lambda scene: scene.direct.lower_hint(scene.before.slot, scene.app.clock()),
        swept=_quiet("fresh"),
    ),
    _between("a sweep writes (412 on a request's lease)", BATCH, _is_here, seen=Seen()),
    _between("a sweep writes (412 on a request's tokens)", SAVE, _is_here, seen=Seen()),
    _between("another browser signs in (412 on a request's tokens)", SAVE, _signs_in, seen=Seen()),
    _between(
        "another browser signs out (404 on a request's tokens)",
        SAVE,
        _signs_out,
        api=200,
        seen=Seen(
            status=401, code="not_signed_in", words="signed out", state=None, level=Level.INFO, line="401 not_signed_in"
        ),
    ),
)

ROWS = (*FAILS, *BETWEEN)
