"""The end of tasks that have no end of their own."""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN_SECONDS = 2.0
"""How long a task may take to leave before it is told again."""


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks until every one has ended; how they ended is not told.

    Once is not enough: before Python 3.12 `asyncio.wait_for` loses a cancellation that comes
    in the moment of its result (CPython issue 86296), and the task goes on for ever.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
    # Somebody has to look at their errors, or asyncio complains.
    await asyncio.gather(*tasks, return_exceptions=True)
