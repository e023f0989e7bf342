"""The daemon's life: start, pause, reload, restart and end, told to whoever keeps it alive."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

from edgefer.errors import EdgeferError, SinkError
from edgefer_device.cameras.opening import is_eye
from edgefer_device.daemon.assembly import Assembly, Opener
from edgefer_device.daemon.configuration import Config
from edgefer_device.daemon.control_socket import Door
from edgefer_device.daemon.status import Status, headline, status_of
from edgefer_device.daemon.systemd import Notifier
from edgefer_device.daemon.watchdog import Watchdog
from edgefer_device.pipeline.control_state import Controls, PauseMemory, Wishes
from edgefer_device.pipeline.frame_rate import keep_feeling
from edgefer_device.pipeline.runner import Limit
from edgefer_device.system.paths import state_folder
from edgefer_device.system.tasks import end

log = logging.getLogger(__name__)

Prepare = Callable[[Config, Controls], Opener]
"""Opens all of a configuration but its camera; raises an `EdgeferError` for what cannot be."""


class Lifecycle:
    """Runs one assembly after the other, until the end or a wish for a restart."""

    def __init__(
        self,
        config: Config,
        prepare: Prepare,
        reread: Callable[[], Config],
        notifier: Notifier | None = None,
    ) -> None:
        self._config, self._prepare, self._reread = config, prepare, reread
        self._notifier = notifier or Notifier()
        self.controls = Controls()
        self._began = time.monotonic()
        self._current: Assembly | None = None
        self._next: tuple[Config, Opener] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._ending = False

    async def run(self, limit: Limit) -> bool:
        """Run to the end; return whether the daemon is to be started again.

        Raises what the first configuration raises, and what ends a running one.
        """
        self._loop = asyncio.get_running_loop()
        with self._signals():
            opener = self._recall()
            async with self._served():
                try:
                    await self._generations(opener, limit)
                finally:
                    # Of a process that says so systemd expects the end, and kills it after
                    # TimeoutStopSec: a restart goes on under the same number.
                    if not self.controls.restart:
                        self._notifier.stopping()
                    if self._reloading is not None:
                        self._reloading.cancel()
        return self.controls.restart

    def reload(self) -> None:
        """Read the configuration again, and run it if it is a good one; on the loop's thread."""
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload(), name="reload")

    def end(self) -> None:
        """End soon and clean; on the loop's thread."""
        self._ending = True
        if self._current is not None:
            self._current.pipeline.stop()

    def status(self) -> Status:
        """Return how it is now; raise `SinkError` before there is anything to tell."""
        now = self._current
        if now is None:
            raise SinkError("it is starting; ask again in a second")
        return status_of(now, self.controls, time.monotonic() - self._began)

    def _recall(self) -> Opener:
        """Take up a pause from before, and build what is configured; the camera comes later."""
        opener = self._prepare(self._config, self.controls)
        if is_eye(self._config.camera):
            memory = PauseMemory(state_folder(self._config.state))
            if memory.paused:
                log.warning("paused since before: the camera stays closed until: edgefer resume")
                self.controls.pause()
            self.controls.listen(memory.keep)
        self.controls.listen(self._hear)
        return opener

    def _hear(self, wishes: Wishes) -> None:
        """Listen to wishes, in any thread."""
        if wishes.restart:
            self._loop.call_soon_threadsafe(self.end)
        # What systemd shows is renewed when it changes, not a watchdog's share later.
        self._loop.call_soon_threadsafe(self._tell_status)

    async def _generations(self, opener: Opener, limit: Limit) -> None:
        """Run assemblies; one that fails before it has begun gives way to the one before."""
        config, before = self._config, None
        while not self._ending:
            try:
                await self._run(opener, limit)
            except EdgeferError as exc:
                if before is None or self._has_begun:
                    raise
                log.warning("%s; the configuration before stays", exc)
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
        health = now.shared.health
        health.paused = self.controls.paused

        def rest(wishes: Wishes) -> None:
            if wishes.paused != health.paused:
                health.paused = wishes.paused

        unheard = self.controls.listen(rest)
        beside = [
            asyncio.create_task(self._tell_ready(now), name="ready"),
            asyncio.create_task(keep_feeling(now.duty), name="thermometer"),
        ]
        try:
            await now.pipeline.run(limit)
        finally:
            unheard()
            await end(*beside)

    async def _reload(self) -> None:
        """Build the new configuration while the old one runs, then let that one end."""
        self._notifier.reloading()
        try:
            config = await asyncio.to_thread(self._reread)
            self._next = config, self._prepare(config, self.controls)
        except EdgeferError as exc:
            log.warning("%s; the configuration before stays", exc)
            self._notifier.ready()
            return
        log.warning("the configuration was read again")
        if self._current is not None:
            self._current.pipeline.stop()

    async def _tell_ready(self, now: Assembly) -> None:
        await now.pipeline.started.wait()
        self._notifier.ready()
        self._tell_status()

    def _tell_status(self) -> None:
        self._notifier.status(self._headline())

    def _headline(self) -> str:
        return "starting" if self._current is None else headline(self.status())

    @contextlib.asynccontextmanager
    async def _served(self) -> AsyncIterator[None]:
        """Feed the watchdog, and answer at the door where there is an eye to speak of."""
        watchdog = Watchdog(
            self._notifier,
            work=lambda: self._current.work if self._current else 0,
            resting=lambda: self.controls.paused,
            status=self._headline,
        )
        async with contextlib.AsyncExitStack() as entered:
            if is_eye(self._config.camera):
                door = Door(state_folder(self._config.state), self._handlers())
                await entered.enter_async_context(door)
            feeding = []
            if self._notifier.spoken_to:
                feeding.append(asyncio.create_task(watchdog.keep(), name="watchdog"))
            try:
                yield
            finally:
                await end(*feeding)

    def _handlers(self) -> dict[str, Callable[[float | None], object]]:
        def threshold(value: float | None) -> Status:
            if value is None:
                raise ValueError("threshold: a value is missing")
            self.controls.set_threshold(value)
            return self.status()

        def doing(work: Callable[[], None]) -> Callable[[float | None], Status]:
            def do(_: float | None) -> Status:
                work()
                return self.status()

            return do

        return {
            "status": lambda _: self.status(),
            "pause": doing(self.controls.pause),
            "resume": doing(self.controls.resume),
            "reload": doing(self.reload),
            "restart": doing(self.controls.request_restart),
            "threshold": threshold,
        }

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """End on SIGTERM and Ctrl-C, reload on SIGHUP; signals reach the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {
            signal.SIGTERM: self.end,
            signal.SIGINT: self.end,
            signal.SIGHUP: self.reload,
        }
        for number, handler in handlers.items():
            self._loop.add_signal_handler(number, handler)
        try:
            yield
        finally:
            for number in handlers:
                self._loop.remove_signal_handler(number)
