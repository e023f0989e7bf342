"""The end of tasks."""

from __future__ import annotations

import asyncio

from edgefer_device.system.tasks import cancel_and_wait


async def deaf(times: int) -> None:
    """Lose so many cancellations, as `wait_for` does before Python 3.12."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            times -= 1
            if times < 0:
                raise


def test_a_task_that_lost_its_cancellation_is_told_again() -> None:
    async def whole() -> bool:
        task = asyncio.create_task(deaf(1))
        await asyncio.sleep(0)
        await asyncio.wait_for(cancel_and_wait(task), 20)
        return task.cancelled()

    assert asyncio.run(whole())


def test_the_end_of_one_that_failed_or_was_done_is_no_error() -> None:
    async def fails() -> None:
        raise ValueError("its own")

    async def whole() -> None:
        failed = asyncio.create_task(fails())
        done = asyncio.create_task(asyncio.sleep(0))
        await asyncio.sleep(0.01)
        await cancel_and_wait(failed, done)
        await cancel_and_wait()

    asyncio.run(whole())
