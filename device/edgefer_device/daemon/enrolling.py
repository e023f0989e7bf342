"""`edgefer enroll`: by the running daemon, which owns the camera, or with the camera itself."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from edgefer.errors import EnrollmentError
from edgefer_device.cameras.opening import pause_persists
from edgefer_device.daemon.assembly import prepare
from edgefer_device.daemon.configuration import Config
from edgefer_device.daemon.control_socket import is_served, request
from edgefer_device.pipeline.control_state import Controls, PauseMemory
from edgefer_device.sinks.content.settings import ContentSettings
from edgefer_device.sinks.enrollment import EnrollmentRequest, EnrollmentState
from edgefer_device.sinks.history import HistorySettings
from edgefer_device.sinks.screen import ScreenSettings
from edgefer_device.system.paths import lock_state
from edgefer_device.system.service import run_service
from edgefer_device.system.tasks import cancel_and_wait

POLL_SECONDS = 0.2
OnState = Callable[[EnrollmentState], None]
"""Called with what is asked for, again and again."""


def enroll(
    config: Config, folder: Path, wanted: EnrollmentRequest, on_state: OnState
) -> EnrollmentState:
    """Run an enrollment to its end and return how it ended.

    `folder` is the state folder. Raises what opening a daemon's parts raises, `ControlError` where
    the daemon refuses, and `EnrollmentError` where the camera or the daemon ends before.
    """
    states = _by_daemon(folder, wanted) if is_served(folder) else None
    if states is None:
        return _here(config, folder, wanted, on_state)
    for state in states:
        if state.outcome is not None:
            return state
        on_state(state)
    raise EnrollmentError("the daemon was reloaded or ended meanwhile; enroll again")


def _by_daemon(folder: Path, wanted: EnrollmentRequest) -> Iterator[EnrollmentState]:
    def ask(command: str, value: EnrollmentRequest | None = None) -> EnrollmentState:
        return msgspec.convert(request([folder], command, value), EnrollmentState)

    state = ask("enroll", wanted)
    try:
        while state.look is not None or state.outcome is not None:
            yield state
            time.sleep(POLL_SECONDS)
            state = ask("enrollment")
    except KeyboardInterrupt:
        request([folder], "stop-enrollment")
        raise


def _here(
    config: Config, folder: Path, wanted: EnrollmentRequest, on_state: OnState
) -> EnrollmentState:
    held: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if pause_persists(config.camera):
        held = lock_state(folder)
        if PauseMemory(folder).paused:
            raise EnrollmentError("the camera is paused; start edgefer run, then edgefer resume")
    alone = msgspec.structs.replace(
        config,
        state=str(folder),
        sinks=(),
        screen=ScreenSettings(),
        history=HistorySettings(),
        content=ContentSettings(),
    )
    with held:
        return run_service(_enroll(alone, wanted, on_state))


async def _enroll(config: Config, wanted: EnrollmentRequest, on_state: OnState) -> EnrollmentState:
    now = prepare(config, Controls())()
    enrollment = now.enrollment
    enrollment.begin(wanted)
    running = asyncio.create_task(now.pipeline.run(), name="enrollment")
    try:
        while enrollment.state.look is not None and not running.done():
            on_state(enrollment.state)
            await asyncio.wait([running], timeout=POLL_SECONDS)
        now.pipeline.stop()
        await running
    finally:
        await cancel_and_wait(running)
    if enrollment.state.outcome is None:
        raise EnrollmentError("the camera ended before every look was held; see the seconds")
    return enrollment.state
