"""Ending without tearing work in half."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

GRACE_SECONDS = 3.0


async def see_through(work: Coroutine[Any, Any, T], *, grace: float = GRACE_SECONDS) -> T:
    """Await `work`; when cancelled meanwhile, give it up to `grace` seconds to end, then be cancelled.

    Once that time is over it goes on by itself: a thread can't be ended from outside.
    """
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=grace)
        raise
