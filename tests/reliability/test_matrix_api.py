"""The fault matrix for callers of the web API: same faults, same promise, challenges where somebody can help."""

import pytest

from shared.accounts import State
from tests.reliability.matrix import Row
from tests.reliability.rows import ROWS
from tests.reliability.scene import BEN, Scene
from tests.web_api.api_client import api_token, call


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS if row.called])
def test_api_ends_as_the_matrix_says(scene: Scene, row: Row) -> None:
    """Status, a challenge with each refusal, at most one line for the operator, no secret in the log; nobody is set
    aside but by `sign_in_required`."""
    token = api_token(scene.tenant, BEN)
    row.happen(scene)
    scene.caplog.clear()
    answer = call(scene.app, token)
    assert answer.status_code == row.called, answer.text
    assert ("WWW-Authenticate" in answer.headers) == (row.called in (401, 403))
    assert ("Retry-After" in answer.headers) == (row.called == 503)
    assert len(scene.loud_lines()) == (1 if row.called >= 500 else 0)
    assert scene.leaked() == set()
    assert token not in answer.text
    aside = row.seen is not None and row.seen.state is State.NEEDS_SIGN_IN and row.called != 200
    assert {each.state for each in scene.everybody()} <= {State.NEEDS_SIGN_IN if aside else State.ACTIVE}
