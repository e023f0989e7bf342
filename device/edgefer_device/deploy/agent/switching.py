"""One switch from a release to another: proved, made, watched, and committed or undone."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import durable, files, health, undo
from .files import File
from .health import Checks, Finding
from .layout import CACHE, Layout, Refused
from .services import Services

EVERY = 1.0
"""Seconds between two looks at a release that is being watched."""
PATIENCE = 10.0
"""Seconds for which a part of it may be unwell while it is watched: brokers restart too."""
PROOF_SECONDS = 300.0
"""How long the doctor may take, on an emulated board too."""
SETTINGS = "/etc/edgefer/edgefer.toml"
PASSED_OVER = ("broker", "state", "permission", "clock")
"""What the doctor, as root, cannot judge for the service; the health afterwards does."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a switch brings."""

    release: str
    files: tuple[File, ...]
    units: tuple[str, ...]
    """The services to start, the daemon last."""
    checks: Checks
    folder: Path
    """Where the files' contents lie."""
    action: str = "deploy"

    @staticmethod
    def read(folder: Path) -> Change:
        """Read what was staged; raise `Refused` where it is not whole."""
        table = durable.read_json(folder / "change.json")
        if table is None:
            raise Refused(f"{folder} holds no change.json: nothing is staged; deploy again")
        listed = tuple(File.read(file) for file in table["files"])
        checks = Checks.read(table["checks"])
        return Change(table["release"], listed, tuple(table["units"]), checks, folder)


class Switch:
    """Makes changes on one device, one at a time."""

    def __init__(
        self, layout: Layout, services: Services, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._layout, self._services, self._clock = layout, services, clock

    def make(self, change: Change, token: str) -> dict[str, Any]:
        """Make a change or undo it; return the outcome, which is also written down."""
        began = self._clock()
        with self.locked():
            self._recover(running=True)
            before = self._layout.running()
            try:
                self._prove(change)
                done = self._made(change)
            except Refused as exc:
                done = {"result": "refused", "reason": str(exc)}
            outcome = {
                "token": token,
                "action": change.action,
                "release": change.release,
                "before": before,
                "time": int(time.time()),
                "seconds": round(self._clock() - began, 1),
                **done,
            }
            durable.write_json(self._layout.outcome, outcome)
            self._note(outcome)
        return outcome

    def recover(self, running: bool) -> bool:
        """Undo a switch that was interrupted; return whether there was one."""
        with self.locked():
            return self._recover(running)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the device's lock; raise `Refused` while another switch holds it."""
        durable.make_folder(self._layout.home)
        with (self._layout.home / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused("another switch is under way here; wait for it") from None
            yield

    def _recover(self, running: bool) -> bool:
        left = undo.pending(self._layout)
        if left is None:
            return False
        self._say(f"an interrupted switch to {left.after} is undone")
        undo.restore(self._layout, left, self._services, running)
        outcome = {
            "action": "recover",
            "release": left.after,
            "before": left.before,
            "time": int(time.time()),
            "result": "rolled back",
            "reason": "it was interrupted before it was committed",
        }
        self._note(outcome)
        return True

    def _prove(self, change: Change) -> None:
        """Let the new release show what it can before anything changes; raise `Refused`."""
        self._say("proving the new release")
        if change.action == "deploy" and self._layout.manifest(change.release) is None:
            raise Refused(f"release {change.release} is not finished here; deploy again")
        files.check(change.folder, change.files)
        program = self._layout.release(change.release) / "bin" / "edgefer"
        with self._settings(change) as settings:
            trouble = doctor(program, settings, change.checks.camera)
        if trouble:
            raise Refused(trouble)

    @contextmanager
    def _settings(self, change: Change) -> Iterator[Path]:
        """Yield the settings as they will be, with the model looked for in the new release."""
        brought = next((file for file in change.files if file.path == SETTINGS), None)
        place = self._layout.there(SETTINGS)
        if brought is not None and brought.sha256 is not None:
            place = files.source(change.folder, brought)
        proof = self._layout.home / "proof.toml"
        text = place.read_text() if place.is_file() else ""
        # `current` still leads to the release before.
        new = f"/opt/edgefer/releases/{change.release}/"
        proof.write_text(text.replace("/opt/edgefer/current/", new))
        try:
            yield proof
        finally:
            proof.unlink()

    def _made(self, change: Change) -> dict[str, Any]:
        """Switch, watch, and commit or undo."""
        layout, services = self._layout, self._services
        os.sync()  # the release's own files: thousands, written by others
        changed = files.differing(layout, change.files)
        new = [unit for unit in change.units if not is_enabled(layout, unit)]
        log = undo.begin(layout, change.release, [f.path for f in changed], change.units, new)
        self._say(f"switching to {change.release}")
        files.put(layout, changed, change.folder)
        durable.point(layout.current, f"releases/{change.release}")
        services.changed(file.path for file in changed)
        for unit in change.units:
            services.enable(unit)
            services.restart(unit)
        trouble = self._watched(change)
        if trouble is None:
            checks = layout.release(change.release) / "checks.json"
            durable.write_json(checks, asdict(change.checks))
            undo.commit(layout, log)
            return {"result": "committed", "reason": None}
        self._say(f"undoing it: {trouble}")
        failed = self._clock()
        undo.restore(layout, log, services, running=True)
        back = self._back(change.checks, log.before)
        return {
            "result": "rolled back",
            "reason": trouble,
            "undone_in": round(self._clock() - failed, 1),
            "now": back,
        }

    def _watched(self, change: Change) -> str | None:
        """Wait until it is well and see that it stays so; return what was wrong, or None."""
        finding = self._well_within(change.checks.deadline, change.checks, change.release)
        if not finding.well:
            return f"{finding.why}{self._words()}; not well within {change.checks.deadline:g} s"
        self._say(f"well ({finding.why}); watching for {change.checks.watch:g} s")
        first, end, ill_since = finding, self._clock() + change.checks.watch, None
        while (now := self._clock()) < end:
            time.sleep(EVERY)
            finding = health.look(self._layout, self._services, change.checks, change.release)
            if change.checks.camera and finding.unit.pid != first.unit.pid:
                return f"the service ended while it was watched: {finding.unit.said}{self._words()}"
            if finding.well:
                ill_since = None
            elif now - (ill_since := ill_since or now) > PATIENCE:
                return f"{finding.why}, for {PATIENCE:g} s"
        return None if finding.well else finding.why

    def _well_within(self, seconds: float, checks: Checks, release: str) -> Finding:
        end = self._clock() + seconds
        while True:
            finding = health.look(self._layout, self._services, checks, release)
            # A service that fails at each start need not be watched to the end.
            if finding.well or self._clock() >= end or finding.unit.restarts >= 3:
                return finding
            time.sleep(EVERY)

    def _back(self, checks: Checks, release: str | None) -> str:
        """Return in words whether what ran before runs again."""
        if release is None:
            return "nothing is installed, as before"
        finding = self._well_within(checks.deadline, checks, release)
        return f"{release} runs" if finding.well else f"{release} is back, but {finding.why}"

    def _words(self) -> str:
        said = self._services.last_words(health.DAEMON)
        return f": {said}" if said else ""

    def _say(self, line: str) -> None:
        """Tell whoever waits."""
        progress = self._layout.progress
        progress.parent.mkdir(parents=True, exist_ok=True)
        with progress.open("a") as told:
            told.write(line + "\n")
        print(line, flush=True)

    def _note(self, outcome: dict[str, Any]) -> None:
        """Add to the device's own record of what happened."""
        with (self._layout.home / "history.jsonl").open("a") as record:
            record.write(json.dumps(outcome) + "\n")


def is_enabled(layout: Layout, unit: str) -> bool:
    """Whether a service is started at boot."""
    wants = layout.there("/etc/systemd/system/multi-user.target.wants")
    return (wants / f"{unit}.service").is_symlink()


def doctor(program: Path, settings: Path, camera: bool) -> str | None:
    """Return what a release's own doctor finds wrong with it, or None.

    It opens the model, whose hashes it compares, has it read twice, and reads the settings.
    """
    command = [str(program), "doctor", "--json", "--config", str(settings)]
    # It finds the engines that the service will find.
    kept = {**os.environ, "CACHE_DIRECTORY": CACHE}
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=PROOF_SECONDS, env=kept
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
