"""`edgefer enroll`: by the running daemon, which owns the camera, or with the camera itself."""

from __future__ import annotations

import asyncio
import contextlib
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgefer.console import FallbackWarning
from edgefer.errors import ControlError, EnrollmentError
from edgefer_device.cameras.opening import pause_persists
from edgefer_device.daemon.assembly import Assembly, Opener, prepare
from edgefer_device.daemon.configuration import Config, labels_of
from edgefer_device.daemon.control_socket import request
from edgefer_device.mood.own_calibration import OwnCalibration
from edgefer_device.pipeline.control_state import Controls, PauseMemory
from edgefer_device.sinks.content.settings import ContentSettings
from edgefer_device.sinks.enrollment import EnrollmentRequest, EnrollmentState, usual_looks
from edgefer_device.sinks.history import HistorySettings
from edgefer_device.sinks.screen import ScreenSettings
from edgefer_device.system.paths import lock_state
from edgefer_device.system.service import run_service
from edgefer_device.system.tasks import cancel_and_wait

POLL_SECONDS = 0.2
OnState = Callable[[EnrollmentState], None]
"""Called with what is asked for, again and again."""


def enroll_by_daemon(folder: Path, wanted: EnrollmentRequest, on_state: OnState) -> EnrollmentState:
    """Have the daemon of a state folder run an enrollment; return how it ended.

    Raises `ControlError` where it refuses or ends, `EnrollmentError` where it reloads before.
    """

    def ask(command: str, value: EnrollmentRequest | None = None) -> EnrollmentState:
        return msgspec.convert(request([folder], command, value), EnrollmentState)

    state = ask("enroll", wanted)
    try:
        while state.look is not None:
            on_state(state)
            time.sleep(POLL_SECONDS)
            state = ask("enrollment")
    except KeyboardInterrupt:
        with contextlib.suppress(ControlError):
            request([folder], "stop-enrollment")
        raise
    if state.outcome is None:
        raise EnrollmentError("the daemon was reloaded or ended meanwhile; enroll again")
    return state


def in_force(folder: Path) -> OwnCalibration | None:
    """Return the calibration that the daemon of a state folder uses; raises `ControlError`."""
    return msgspec.convert(request([folder], "calibration"), OwnCalibration | None)


def enroll_here(
    config: Config, folder: Path, wanted: EnrollmentRequest, on_state: OnState
) -> EnrollmentState:
    """Open the camera and run an enrollment, while no daemon has the state folder.

    Raises what opening a daemon's parts raises, `StateError` while another holds the folder, and
    `EnrollmentError` during a pause, or where the camera ends before.
    """
    usual_looks(wanted.looks, labels_of(config))
    lasting = pause_persists(config.camera)
    alone = msgspec.structs.replace(
        config,
        state=str(folder),
        sinks=(),
        screen=ScreenSettings(),
        history=HistorySettings(),
        content=ContentSettings(),
    )
    with lock_state(folder) if lasting else contextlib.nullcontext():
        if lasting and PauseMemory(folder).paused:
            raise EnrollmentError("the camera is paused; start edgefer run, then edgefer resume")
        return run_service(_enroll(alone, wanted, on_state))


def _opened(opener: Opener) -> Assembly:
    """Open the camera, and never the demo in its place: that is no face of the household."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FallbackWarning)
        try:
            return opener()
        except FallbackWarning as exc:
            raise EnrollmentError(str(exc).replace("showing demo: instead", "connect one")) from exc


async def _enroll(config: Config, wanted: EnrollmentRequest, on_state: OnState) -> EnrollmentState:
    now = _opened(prepare(config, Controls()))
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
        raise EnrollmentError("the camera ended before every look was held; try fewer --seconds")
    return enrollment.state
