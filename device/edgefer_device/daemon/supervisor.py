"""`edgefer run`: the daemon's start, pause, reload, restart and end, under a service manager."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NoReturn

import msgspec

from edgefer.errors import ControlError, EdgeferError, StateError
from edgefer_device.cameras.opening import pause_persists
from edgefer_device.daemon.assembly import Assembly, Opener, prepare
from edgefer_device.daemon.configuration import Config
from edgefer_device.daemon.control_socket import ControlServer, Handler, Value
from edgefer_device.daemon.status import Status, headline, status_of
from edgefer_device.daemon.systemd import Notifier, Watchdog
from edgefer_device.mood.own_calibration import OwnCalibration
from edgefer_device.pipeline.control_state import Controls, ControlState, PauseMemory
from edgefer_device.pipeline.frame_rate import watch_temperature
from edgefer_device.pipeline.runner import Limit
from edgefer_device.sinks.enrollment import Enrollment, EnrollmentRequest, EnrollmentState
from edgefer_device.sinks.history import HistorySettings
from edgefer_device.system.address import redacted
from edgefer_device.system.paths import lock_state, state_folder, volatility
from edgefer_device.system.service import run_service
from edgefer_device.system.tasks import cancel_and_wait

log = logging.getLogger(__name__)

Prepare = Callable[[Config, Controls], Opener]
"""Opens all of a configuration but its camera, as `assembly.prepare` does."""


def run(
    config: Config,
    limit: Limit | None = None,
    reread: Callable[[], Config] | None = None,
    prepare: Prepare = prepare,
) -> bool:
    """Run until the camera ends, SIGTERM, Ctrl-C, or a limit; return whether to restart.

    `reread` loads the configuration anew on SIGHUP. Raises an `EdgeferError` for whatever
    cannot be opened, or is lost.
    """
    supervisor = Supervisor(config, prepare, reread or (lambda: config))
    return run_service(supervisor.run(limit or Limit()))


def reexec() -> NoReturn:
    """Replace this process with a fresh one of the same command line.

    The PID stays: a service manager sees no end, and a daemon without one restarts too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    # Kept for the fresh process until it handles it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


class Supervisor:
    """Runs one assembly after the other, until the end or a request to restart."""

    def __init__(self, config: Config, prepare: Prepare, reread: Callable[[], Config]) -> None:
        self._config, self._prepare, self._reread = config, prepare, reread
        self._notifier = Notifier()
        self.controls = Controls()
        self._began = time.monotonic()
        self._current: Assembly | None = None
        self._next: tuple[Config, Opener] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._stopping = False
        self._refused: str | None = None
        self._volatility: str | None = None
        self._held, self._owns = contextlib.ExitStack(), False

    async def run(self, limit: Limit) -> bool:
        """Run to the end; return whether the daemon is to be restarted.

        Raises what the first configuration raises, and what ends a running one.
        """
        self._loop = asyncio.get_running_loop()
        with self._signals(), self._state():
            opener = self._restore()
            async with self._services():
                try:
                    await self._run_assemblies(opener, limit)
                finally:
                    # After STOPPING=1 systemd kills the process at TimeoutStopSec: a restart
                    # goes on under the same PID.
                    if not self.controls.restart:
                        self._notifier.stopping()
                    if self._reloading is not None:
                        self._reloading.cancel()
        return self.controls.restart

    def reload(self) -> None:
        """Reload the configuration, and run it if it is valid; on the loop's thread."""
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload(), name="reload")

    def stop(self) -> None:
        """Stop soon and cleanly; on the loop's thread."""
        self._stopping = True
        if self._current is not None:
            self._current.pipeline.stop()

    def status(self) -> Status:
        """Return the current status; raise `ControlError` during the start."""
        uptime = time.monotonic() - self._began
        return status_of(self._assembly, self.controls, uptime, self._refused, self._volatility)

    @property
    def enrollment(self) -> Enrollment:
        """The running assembly's; raises `ControlError` during the start."""
        return self._assembly.enrollment

    @property
    def _assembly(self) -> Assembly:
        if self._current is None:
            raise ControlError("the daemon is starting; try again in a second")
        return self._current

    def _restore(self) -> Opener:
        """Restore a pause from before, and build what is configured; the camera comes later."""
        opener = self._prepare(self._config, self.controls)
        if pause_persists(self._config.camera):
            folder = state_folder(self._config.state)
            memory = PauseMemory(folder)
            self._volatility = volatility(folder)
            if self._volatility is not None:
                log.warning("%s", self._volatility)
            if memory.paused:
                log.warning("still paused: the camera stays closed until edgefer resume")
                self.controls.pause()
            self.controls.listen(memory.keep)
        self.controls.listen(self._on_control)
        return opener

    def _on_control(self, state: ControlState) -> None:
        """Obey a changed control state, in any thread."""
        if state.restart:
            self._loop.call_soon_threadsafe(self.stop)
        # systemd shows the change at once, not at the watchdog's next check.
        self._loop.call_soon_threadsafe(self._notify_status)

    async def _run_assemblies(self, opener: Opener, limit: Limit) -> None:
        """Run assemblies; one that fails before it has begun gives way to the one before."""
        config, before = self._config, None
        while not self._stopping:
            try:
                await self._run(opener, limit)
            except Exception as exc:
                if before is None or self._has_begun:
                    raise
                self._refuse(exc)
                config, before = before, None
                opener = self._prepare(config, self.controls)
                continue
            if self._next is None:
                return
            before, (config, opener), self._next = config, self._next, None

    @property
    def _has_begun(self) -> bool:
        return self._current is not None and self._current.pipeline.started.is_set()

    async def _run(self, opener: Opener, limit: Limit) -> None:
        """Run one assembly to its end."""
        self._current = None
        self._current = now = opener()
        health = now.health
        health.paused = self.controls.paused
        if self._next is not None:
            # A reload came while this was opened.
            now.pipeline.stop()

        def on_pause(state: ControlState) -> None:
            if state.paused != health.paused:
                health.paused = state.paused

        unsubscribe = self.controls.listen(on_pause)
        tasks = [
            asyncio.create_task(self._notify_ready(now), name="ready"),
            asyncio.create_task(watch_temperature(now.frame_rate), name="thermometer"),
        ]
        try:
            await now.pipeline.run(limit)
        finally:
            unsubscribe()
            await cancel_and_wait(*tasks)

    async def _reload(self) -> None:
        """Build the new configuration while the old one runs, then let that one end."""
        self._notifier.reloading()
        try:
            config = self._claimed(await asyncio.to_thread(self._reread))
            self._next = config, self._prepare(config, self.controls)
        except Exception as exc:
            self._refuse(exc)
            self._notifier.ready()
            return
        self._refused = None
        log.info("configuration reloaded")
        if self._current is not None:
            self._current.pipeline.stop()

    async def _notify_ready(self, now: Assembly) -> None:
        await now.pipeline.started.wait()
        self._notifier.ready()
        self._notify_status()

    def _notify_status(self) -> None:
        self._notifier.status(self._headline())

    def _headline(self) -> str:
        return "starting" if self._current is None else headline(self.status())

    @contextlib.asynccontextmanager
    async def _services(self) -> AsyncIterator[None]:
        """Ping the watchdog, and serve the control socket."""
        watchdog = Watchdog(
            self._notifier,
            progress=lambda: self._current.progress if self._current else 0,
            paused=lambda: self.controls.paused,
            status=self._headline,
        )
        async with contextlib.AsyncExitStack() as entered:
            owner = pause_persists(self._config.camera)
            server = ControlServer(state_folder(self._config.state), self._handlers(), owner)
            await entered.enter_async_context(server)
            if self._notifier.enabled:
                pings = asyncio.create_task(watchdog.run(), name="watchdog")
                entered.push_async_callback(cancel_and_wait, pings)
            yield

    def _handlers(self) -> dict[str, Handler]:
        def threshold(value: Value) -> Status:
            if not isinstance(value, float):
                raise ValueError("threshold: a number is missing")
            self.controls.set_threshold(value)
            return self.status()

        def enroll(value: Value) -> EnrollmentState:
            return self.enrollment.begin(value if isinstance(value, EnrollmentRequest) else None)

        def calibration(_: Value) -> OwnCalibration | None:
            if self.enrollment.refused:
                raise ControlError(self.enrollment.refused)
            return self.enrollment.own

        def then_status(action: Callable[[], None]) -> Handler:
            def handle(_: Value) -> Status:
                action()
                return self.status()

            return handle

        return {
            "status": lambda _: self.status(),
            "pause": then_status(self.controls.pause),
            "resume": then_status(self.controls.resume),
            "reload": then_status(self.reload),
            "restart": then_status(self.controls.request_restart),
            "threshold": threshold,
            "calibration": calibration,
            "enroll": enroll,
            "enrollment": lambda _: self.enrollment.state,
            "stop-enrollment": lambda _: self.enrollment.stop(),
            "remove-calibration": lambda _: self.enrollment.remove(),
        }

    def _claimed(self, config: Config) -> Config:
        """Return a configuration, without its history where the state folder is another daemon's.

        Of clips and images several daemons may share a folder, of which one alone may write.
        """
        if self._owns or not config.history.keep_days:
            return config
        try:
            self._held.enter_context(lock_state(state_folder(config.state)))
        except StateError as exc:
            log.warning("no history is kept of %s: %s", redacted(config.camera), exc)
            return msgspec.structs.replace(config, history=HistorySettings())
        self._owns = True
        return config

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Stop on SIGTERM and Ctrl-C, reload on SIGHUP; signals reach the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # Not the loop's handlers: what they write to is full after some hundred hangups, and drops
        # a SIGTERM; and they reset SIGHUP to the default, which ends the process.
        before = {
            number: signal.signal(number, self._on_end)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        signal.signal(signal.SIGHUP, self._on_hangup)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        try:
            yield
        finally:
            # A restart reads the configuration anyway.
            late = signal.SIG_IGN if self.controls.restart else signal.SIG_DFL
            signal.signal(signal.SIGHUP, late)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_end(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self.stop)

    def _on_hangup(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self.reload)

    def _refuse(self, exc: Exception) -> None:
        """Tell why a new configuration is not used; whatever it raises, the daemon goes on."""
        self._refused = str(exc) if isinstance(exc, EdgeferError) else f"reload failed: {exc!r}"
        log.warning("%s; the previous configuration stays", self._refused)
        log.debug("reload failed", exc_info=exc)

    @contextlib.contextmanager
    def _state(self) -> Iterator[None]:
        """Hold the state folder, where a pause or a history is kept in it."""
        with self._held:
            if pause_persists(self._config.camera):
                self._held.enter_context(lock_state(state_folder(self._config.state)))
                self._owns = True
            self._config = self._claimed(self._config)
            yield
