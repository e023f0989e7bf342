"""Run a program for a sink, without a shell."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Sequence

log = logging.getLogger(__name__)

LOGGED = 2000
"""Bytes of a program's output that are logged."""
_outputs: set[asyncio.Task[None]] = set()
"""Those that are still read: what a program leaves in the background may go on writing."""


async def run_command(command: Sequence[str], seconds: float, **environment: str) -> str | None:
    """Run a program to its end; return what went wrong, None if nothing did.

    It has no terminal, and a process group that is killed after so many `seconds`, or when
    this is cancelled: a script killed alone leaves behind what it waits for. The beginning of
    what it writes is logged.
    """
    lines, output = await _logged_output(command[0])
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **environment},
        )
    except OSError as exc:
        return f"{command[0]} cannot be started: {exc.strerror}"
    finally:
        os.close(output)
    try:
        status = await asyncio.wait_for(process.wait(), seconds)
    except asyncio.TimeoutError:
        return f"{command[0]} did not end within {seconds:g} s and was killed"
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    await asyncio.wait([lines], timeout=0.2)
    return f"{command[0]} ended with status {status}" if status else None


async def _logged_output(name: str) -> tuple[asyncio.Task[None], int]:
    """Return what logs an output, and a pipe's end to write it to, which the caller closes.

    Not a pipe of asyncio's subprocess: a child that outlives the program would hold that up, and
    would die of SIGPIPE (signal(7)) were nobody reading any more.
    """
    reading, writing = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb")
    )
    lines = asyncio.create_task(_log_lines(reader, name), name=f"output of {name}")
    _outputs.add(lines)
    lines.add_done_callback(_outputs.discard)
    lines.add_done_callback(lambda _: transport.close())
    return lines, writing


async def _log_lines(reader: asyncio.StreamReader, name: str) -> None:
    """Log the first lines of an output, and read the rest so that it does not block."""
    left = LOGGED
    while chunk := await reader.read(LOGGED):
        for line in chunk[: max(0, left)].decode(errors="replace").splitlines():
            log.info("%s: %s", name, line)
        left -= len(chunk)
