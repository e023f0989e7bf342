"""Run a program for a sink, without a shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence


async def run_command(command: Sequence[str], seconds: float, **environment: str) -> str | None:
    """Run a program to its end; return what went wrong, None if nothing did.

    It has no terminal, and a process group that is killed after so many `seconds`, or when
    this is cancelled: a script killed alone leaves behind what it waits for.
    """
    null = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=null,
            stdout=null,
            stderr=null,
            start_new_session=True,
            env={**os.environ, **environment},
        )
    except OSError as exc:
        return f"{command[0]} cannot be started: {exc.strerror}"
    try:
        status = await asyncio.wait_for(process.wait(), seconds)
    except asyncio.TimeoutError:
        return f"{command[0]} did not end within {seconds:g} s and was killed"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return f"{command[0]} ended with status {status}" if status else None
