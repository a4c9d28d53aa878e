"""A task's state: what can't be kept raises where it is assigned, and nothing is lost."""

from typing import Any

import pytest

from shared.background import TaskState


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes", float("nan"), {"deep": [{3}]}])
def test_what_is_not_json_raises_where_it_is_assigned(value: Any) -> None:
    """By every way of assigning, and what was there stays."""
    state = TaskState({"old": 1})
    with pytest.raises(TypeError, match="JSON"):
        state["new"] = value
    with pytest.raises(TypeError, match="JSON"):
        state.update(new=value)
    with pytest.raises(TypeError, match="JSON"):
        state |= {"new": value}
    with pytest.raises(TypeError, match="JSON"):
        state.setdefault("new", value)
    assert state == {"old": 1}


def test_33_kib_raise_where_they_are_assigned() -> None:
    """32 KiB are for all tasks of a person together."""
    state = TaskState({"old": 1})
    with pytest.raises(ValueError, match="32768"):
        state["new"] = "x" * 33 * 1024
    TaskState()["new"] = "x" * 20 * 1024
    with pytest.raises(ValueError, match="32768"):
        TaskState(taken=20 * 1024)["new"] = "x" * 20 * 1024
    assert state == {"old": 1}


def test_a_key_that_is_no_text_is_refused() -> None:
    """JSON would turn it into one, and the next run would not find it."""
    state = TaskState()
    with pytest.raises(TypeError, match="key"):
        state[1] = "x"  # type: ignore[index]  # that is the mistake
