"""One switch from a release to another: verified, made, watched, and committed or rolled back."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from . import files, releases
from .health import DAEMON, Health, check_health
from .layout import AS_SERVICE, HOME, Layout, Refused
from .messages import Change, Checks, Outcome, to_json
from .services import Services

PATIENCE = 10.0
"""Seconds for which a part may fail while a release is watched: brokers restart too."""
DOCTOR_SECONDS = 300.0
"""How long the doctor may take, on an emulated board too."""
SETTINGS = "/etc/edgefer/edgefer.toml"
PASSED_OVER = ("broker", "state", "jsonl", "permission", "clock")
"""What the doctor, without the service's unit, cannot judge; the health afterwards does."""

Doctor = Callable[[Path, Path, bool], "str | None"]
"""Takes a release's program, the settings and whether there is a camera; returns the fault."""


def run_doctor(program: Path, settings: Path, camera: bool) -> str | None:
    """Return what a release's own doctor finds wrong with it, or None.

    It opens the model, whose hashes it compares, has it read twice, and reads the settings.
    """
    command = ["sh", "-c", AS_SERVICE, "sh", f"--property=RuntimeMaxSec={DOCTOR_SECONDS:g}"]
    command += [str(program), "doctor", "--json", "--config", str(settings)]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=DOCTOR_SECONDS
        )
        checks = json.loads(done.stdout)["checks"]
    except (OSError, subprocess.TimeoutExpired) as exc:
        return f"the release does not start: {exc}"
    except (ValueError, KeyError):
        last = [line for line in done.stderr.splitlines() if line.strip()]
        return f"the release does not start: {last[-1] if last else f'status {done.returncode}'}"
    over = PASSED_OVER if camera else (*PASSED_OVER, "camera")
    failed = [one for one in checks if one["level"] == "fail" and one["what"] not in over]
    return f"{failed[0]['what']}: {failed[0]['found']}" if failed else None


class Switch:
    """Makes changes on one device, one at a time; `interval` is seconds between health checks."""

    def __init__(
        self,
        layout: Layout,
        services: Services,
        *,
        clock: Callable[[], float] = time.monotonic,
        interval: float = 1.0,
        doctor: Doctor = run_doctor,
    ) -> None:
        self._layout, self._services = layout, services
        self._clock, self._interval, self._doctor = clock, interval, doctor

    def apply(self, change: Change, folder: Path, token: str) -> Outcome:
        """Make a change or roll it back; return the outcome, which is also recorded.

        `folder` holds the contents of its files.
        """
        began = self._clock()
        with self.locked():
            self._recover(running=True)
            before = self._layout.running()
            try:
                self._verify(change, folder)
                outcome = self._switch(change, folder)
            except Refused as exc:
                outcome = Outcome("refused", str(exc))
            outcome = replace(
                outcome,
                token=token,
                action=change.action,
                release=change.release,
                before=before,
                time=int(time.time()),
                seconds=round(self._clock() - began, 1),
            )
            files.write_message(self._layout.outcome, outcome)
            self._append_history(outcome)
        return outcome

    def recover(self, running: bool) -> bool:
        """Undo a switch that was interrupted; return whether there was one."""
        with self.locked():
            return self._recover(running)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the device's lock; raise `Refused` while another switch holds it."""
        files.make_folder(self._layout.home)
        with (self._layout.home / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused("another switch is under way here; wait for it") from None
            yield

    def _recover(self, running: bool) -> bool:
        record = releases.pending(self._layout)
        if record is None:
            return False
        self._report(f"rolling back an interrupted switch to {record.after}")
        releases.restore(self._layout, record, self._services, running)
        reason = "it was interrupted before it was committed"
        outcome = Outcome("rolled back", reason, "recover", record.after, record.before)
        self._append_history(replace(outcome, time=int(time.time())))
        return True

    def _verify(self, change: Change, folder: Path) -> None:
        """Check the new release as far as possible before anything changes; raise `Refused`."""
        self._report("checking the new release")
        if change.action == "deploy" and releases.manifest(self._layout, change.release) is None:
            raise Refused(f"release {change.release} is not finished here; deploy again")
        files.verify(folder, change.files)
        program = self._layout.release(change.release) / "bin" / "edgefer"
        with self._settings(change, folder) as settings:
            fault = self._doctor(program, settings, change.checks.camera)
        if fault:
            raise Refused(fault)

    @contextmanager
    def _settings(self, change: Change, folder: Path) -> Iterator[Path]:
        """Yield the settings as they will be, with the model of the new release."""
        staged = next((file for file in change.files if file.path == SETTINGS), None)
        place = self._layout.resolve(SETTINGS)
        mode = place.stat().st_mode & 0o777 if place.is_file() else 0o644
        if staged is not None and staged.sha256 is not None:
            place, mode = files.source(folder, staged), staged.mode
        # Bytes: what is no UTF-8 is the doctor's to report.
        content = place.read_bytes() if place.is_file() else b""
        # `current` still leads to the release before.
        release = f"{HOME}/releases/{change.release}/".encode()
        checked = self._layout.home / "checked.toml"
        # It may hold a password: for whom the settings themselves are, the service among them.
        files.write(checked, content.replace(f"{HOME}/current/".encode(), release), mode)
        try:
            yield checked
        finally:
            checked.unlink()

    def _switch(self, change: Change, folder: Path) -> Outcome:
        """Switch, watch, and commit or roll back."""
        layout, services = self._layout, self._services
        os.sync()  # the release's own files: thousands, written by others
        changed = files.differing(layout, change.files)
        new = [unit for unit in change.units if not is_enabled(layout, unit)]
        record = releases.begin(layout, change, [file.path for file in changed], new)
        self._report(f"switching to {change.release}")
        files.install(layout, changed, folder)
        files.link(layout.current, f"releases/{change.release}")
        services.reload(file.path for file in changed)
        for unit in change.units:
            services.enable(unit)
            services.restart(unit)
        fault = self._watch(change)
        if fault is None:
            files.write_message(layout.release(change.release) / releases.CHECKS, change.checks)
            releases.commit(layout, record)
            return Outcome("committed")
        self._report(f"rolling back: {fault}")
        failed = self._clock()
        releases.restore(layout, record, services, running=True)
        now = self._restored(change.checks, record.before)
        undone_in = round(self._clock() - failed, 1)
        return Outcome("rolled back", fault, undone_in=undone_in, now=now)

    def _watch(self, change: Change) -> str | None:
        """Wait until a release is healthy and see that it stays so; return its fault, or None."""
        checks = change.checks
        health = self._wait_until_healthy(checks, change.release)
        if not health.ok:
            error = self._last_error()
            return f"{health.detail}{error}; not healthy within {checks.deadline:g} s"
        self._report(f"healthy ({health.detail}); watching for {checks.watch:g} s")
        pid, end, failing_since = health.unit.pid, self._clock() + checks.watch, None
        while (now := self._clock()) < end:
            time.sleep(self._interval)
            health = check_health(self._layout, self._services, checks, change.release)
            if checks.camera and health.unit.pid != pid:
                state = health.unit.state
                return f"the service ended while it was watched: {state}{self._last_error()}"
            if health.ok:
                failing_since = None
            elif now - (failing_since := failing_since or now) > PATIENCE:
                return f"{health.detail}, for {PATIENCE:g} s"
        return None if health.ok else health.detail

    def _wait_until_healthy(self, checks: Checks, release: str) -> Health:
        end = self._clock() + checks.deadline
        while True:
            health = check_health(self._layout, self._services, checks, release)
            # A service that fails at each start need not be watched to the end.
            if health.ok or self._clock() >= end or health.unit.restarts >= 3:
                return health
            time.sleep(self._interval)

    def _restored(self, checks: Checks, release: str | None) -> str:
        """Return in words whether what ran before runs again."""
        if release is None:
            return "nothing is installed, as before"
        health = self._wait_until_healthy(checks, release)
        return f"{release} runs" if health.ok else f"{release} is back, but {health.detail}"

    def _last_error(self) -> str:
        error = self._services.last_error(DAEMON)
        return f": {error}" if error else ""

    def _report(self, line: str) -> None:
        """Add a line to the progress that `wait` follows."""
        progress = self._layout.progress
        progress.parent.mkdir(parents=True, exist_ok=True)
        with progress.open("a") as lines:
            lines.write(line + "\n")
        print(line, flush=True)

    def _append_history(self, outcome: Outcome) -> None:
        with (self._layout.home / "history.jsonl").open("a") as history:
            history.write(to_json(outcome) + "\n")


def is_enabled(layout: Layout, unit: str) -> bool:
    """Whether a service is started at boot."""
    wants = layout.resolve("/etc/systemd/system/multi-user.target.wants")
    return (wants / f"{unit}.service").is_symlink()
