"""Faults of Microsoft Graph: the token is fine and saved, but the task or the page fails."""

from typing import Any

from shared.accounts import State
from tests.reliability.matrix import TRY_AGAIN, Due, Level, Row, Seen, Swept
from tests.reliability.scene import BEN, Scene

_GROUP = "Microsoft Graph fails"


def _swept(code: str) -> Swept:
    code = f"profile_changes: {code}"
    return Swept(outcome="task_failed", code=code, due=Due.TURN, line=rf"task_failed=1 .*task_failed {code} \(1\)")


def _fails(fault: str, code: str, kind: str, *, why: str, seen: str = "", **facts: Any) -> Row:
    return Row(
        group=_GROUP,
        fault=fault,
        happen=lambda scene: scene.fault(kind, "graph", **facts),
        swept=_swept(code),
        seen=Seen(status=503, code=seen or code, words=TRY_AGAIN, line=rf"503 {seen or code}: Microsoft Graph: {why}"),
    )


def _refuses(status: int) -> Row:
    return Row(
        group=_GROUP,
        fault=f"{status}",
        happen=lambda scene: scene.fault("status", "graph", status=status),
        swept=_swept(f"graph_{status}"),
        seen=Seen(
            status=502,
            code=f"graph_{status}",
            words="whoever runs this app",
            line=rf"502 graph_{status}: Microsoft Graph: {status}",
        ),
    )


def _challenge(scene: Scene) -> None:
    scene.fault("challenge", where="graph", times=1)


def _revoke_unseen(scene: Scene) -> None:
    """The cached token is valid for an hour and would hide the revocation."""
    scene.tenant.change_settings(access_token_lifetime=3600)
    scene.browser.sign_in(BEN)
    scene.app.clock.move(minutes=6)
    scene.tenant.change_person(BEN, state="revoked", continuous_access=True)


ROWS = (
    Row(
        group=_GROUP,
        fault="claims challenge, granted",
        happen=_challenge,
        swept=Swept(outcome="fresh", due=Due.TURN, level=Level.NONE, line=""),
        seen=Seen(),
    ),
    Row(
        group=_GROUP,
        fault="claims challenge, refused (50173)",
        happen=_revoke_unseen,
        swept=Swept(
            outcome="sign_in_required",
            state=State.NEEDS_SIGN_IN,
            code="50173",
            due=Due.RETENTION,
            line=r"sign_in_required=1 .*sign_in_required 50173 \(1\)",
            then="",
        ),
        seen=Seen(
            status=401,
            code="sign_in_required",
            words="Sign in again",
            state=State.NEEDS_SIGN_IN,
            level=Level.INFO,
            line="401 sign_in_required",
        ),
    ),
    _refuses(401),
    _refuses(403),
    _refuses(404),
    _fails("429 with Retry-After", "graph_429", "throttle", why="429 TooManyRequests", retry_after=120),
    _fails("500", "graph_500", "status", why="500", status=500),
    _fails("503", "graph_503", "status", why="503", status=503),
    _fails("slower than its time-out", "graph_timeout", "hang", why="0 timeout", seen="graph_0"),
)
