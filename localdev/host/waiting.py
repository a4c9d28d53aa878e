"""Finishing work before a task is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

GRACE_SECONDS = 3.0


async def see_through(work: Coroutine[Any, Any, T], *, grace: float = GRACE_SECONDS) -> T:
    """Await `work`. When cancelled, wait up to `grace` seconds for it to end, then raise CancelledError.

    After that time `work` goes on by itself: a thread can't be ended from outside.
    """
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=grace)
        raise
