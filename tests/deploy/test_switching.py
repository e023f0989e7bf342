"""A switch that is cut at each of its steps in turn, and what the next boot makes of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from edgefer_device.deploy.agent import files, health, releases
from edgefer_device.deploy.agent.layout import Layout, Refused
from edgefer_device.deploy.agent.messages import Change, Checks, DaemonStatus, File, Outcome
from edgefer_device.deploy.agent.releases import listed, previous, prune, rollback_change
from edgefer_device.deploy.agent.services import Unit
from edgefer_device.deploy.agent.switching import Switch

UNIT = "/etc/systemd/system/edgefer.service"
SETTINGS = "/etc/edgefer/edgefer.toml"
NEW = "/etc/edgefer/deployed.toml"
CHECKS = Checks(deadline=0.01, watch=0.01)
WELL = DaemonStatus(
    ok=True, paused=True, camera="demo:", camera_open=False, analysed=0, page=None, parts={}
)


@pytest.fixture(autouse=True)
def _daemon_responds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs as the service responds well at its socket."""
    monkeypatch.setattr(health, "daemon_status", lambda _: WELL)


class PowerCut(BaseException):
    """No `except` of ours catches it, as none catches the real one."""


class Machine:
    """Services of a device that has none, with a memory of what they were told."""

    def __init__(self, well: bool = True) -> None:
        self.well = well
        self.told: list[str] = []
        self.enabled: set[str] = set()

    def reload(self, paths: Iterable[str]) -> None:
        self.told += [f"changed {path}" for path in paths]

    def enable(self, name: str) -> None:
        self.enabled.add(name)

    def disable(self, name: str) -> None:
        self.enabled.discard(name)

    def restart(self, name: str) -> None:
        self.told.append(f"restart {name}")

    def unit(self, name: str) -> Unit:
        state = "active (running)" if self.well else "failed (failed), exit-code"
        return Unit(self.well, os.getpid(), 0 if self.well else 3, state)

    def last_error(self, name: str) -> str:
        return "" if self.well else "no camera at /dev/video0"


class Board:
    """A device's files in a folder, with two releases, of which `old` runs."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.machine = Machine()
        for name in ("old", "new"):
            folder = self.layout.release(name)
            folder.mkdir(parents=True)
            (folder / "release.json").write_text(json.dumps({"id": name}))
        self.layout.current.symlink_to("releases/old")
        self.write(UNIT, "old unit")
        self.boots = self.layout.resolve(
            "/etc/systemd/system/multi-user.target.wants/edgefer.service"
        )
        self.boots.parent.mkdir()
        self.boots.symlink_to(UNIT)
        self.write(SETTINGS, "old settings")
        staged = {UNIT: "new unit", SETTINGS: "new settings", NEW: "new file"}
        self.stage(staged)

    def write(self, path: str, text: str) -> None:
        place = self.layout.resolve(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(0o644)

    def stage(self, staged: dict[str, str]) -> None:
        listed = []
        for path, text in staged.items():
            place = self.layout.staged / "files" / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
            listed.append(File(path, 0o644, files.digest(place)))
        self.change = Change("new", tuple(listed), ("edgefer",), CHECKS)

    @property
    def state(self) -> dict[str, str | None]:
        """What a boot would find."""
        places = {path: self.layout.resolve(path) for path in (UNIT, SETTINGS, NEW)}
        texts = {
            path: place.read_text() if place.exists() else None for path, place in places.items()
        }
        return {"runs": self.layout.running(), **texts}

    @property
    def switcher(self) -> Switch:
        """Neither a doctor nor a control socket is there."""
        return Switch(self.layout, self.machine, interval=0.001, doctor=lambda *_: None)

    def switch(self) -> Outcome:
        return self.switcher.apply(self.change, self.layout.staged, "token")

    def roll_back(self, name: str) -> Outcome:
        change = rollback_change(self.layout, name)
        return self.switcher.apply(change, self.layout.snapshot(name), "token")


OLD = {"runs": "old", UNIT: "old unit", SETTINGS: "old settings", NEW: None}
SWITCHED = {"runs": "new", UNIT: "new unit", SETTINGS: "new settings", NEW: "new file"}


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def test_a_switch_that_is_well_counts(board: Board) -> None:
    assert board.switch().result == "committed"
    assert board.state == SWITCHED
    assert releases.pending(board.layout) is None
    assert not board.switcher.recover(running=False)
    assert board.state == SWITCHED


def test_one_that_is_not_is_undone_with_its_reason(board: Board) -> None:
    board.machine.well = False
    done = board.switch()
    assert done.result == "rolled back"
    assert "failed (failed), exit-code: no camera at /dev/video0" in str(done.reason)
    assert board.state == OLD
    assert board.machine.told[-1] == "restart edgefer"


OPERATIONS = (
    (os, "fsync"),
    *((Path, name) for name in ("mkdir", "rename", "replace", "symlink_to", "unlink")),
)
"""What changes names on the disk, or waits for it."""


def cut_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the power fail before the n-th operation on the disk."""
    done: list[str] = []

    def cutting(owner: object, name: str) -> Callable[..., object]:
        real = getattr(owner, name)

        def cut(*words: object, **more: object) -> object:
            done.append(name)
            # Nothing works after it either, what `finally` would tidy up included.
            if len(done) >= step:
                raise PowerCut
            return real(*words, **more)

        return cut

    for owner, name in OPERATIONS:
        monkeypatch.setattr(owner, name, cutting(owner, name))


@pytest.mark.parametrize("well", [True, False])
def test_cut_at_any_instant_the_next_boot_has_the_old_or_the_new_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, well: bool
) -> None:
    seen, step = [], 0
    while True:
        step += 1
        with monkeypatch.context() as context:
            board = Board(tmp_path / str(step))
            board.machine.well = well
            cut_at(context, step)
            try:
                board.switch()
                break
            except PowerCut:
                pass
        # The next boot: before the daemon starts, what is pending is undone.
        board.switcher.recover(running=False)
        assert board.state in (OLD, SWITCHED), f"cut at operation {step}"
        assert releases.pending(board.layout) is None
        seen.append(board.state == SWITCHED)
    # Once it counts it counts; a release that is not well never does.
    assert seen == sorted(seen)
    assert seen.count(False) > 10
    assert any(seen) == well


def test_a_recovery_that_is_cut_too_is_made_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = 0
    while True:
        step += 1
        board = Board(tmp_path / str(step))
        paths = [file.path for file in board.change.files]
        releases.begin(board.layout, board.change, paths, [])
        for path, text in ((UNIT, "new unit"), (SETTINGS, "new settings"), (NEW, "new file")):
            board.write(path, text)
        files.link(board.layout.current, "releases/new")
        with monkeypatch.context() as context:
            cut_at(context, step)
            try:
                board.switcher.recover(running=False)
                break
            except PowerCut:
                pass
        board.switcher.recover(running=False)
        assert board.state == OLD, f"cut at operation {step}"
    assert board.state == OLD
    assert step > 5


def test_a_rollback_brings_back_the_files_too(board: Board) -> None:
    board.switch()
    assert previous(board.layout) == "old"
    # The old one was never switched to: it has no checks of its own yet.
    files.write_message(board.layout.release("old") / releases.CHECKS, CHECKS)
    assert board.roll_back("old").result == "committed"
    assert board.state == OLD
    # And forth again.
    assert previous(board.layout) == "new"
    assert board.roll_back("new").result == "committed"
    assert board.state == SWITCHED


def test_files_that_were_not_copied_whole_change_nothing(board: Board) -> None:
    (board.layout.staged / "files" / UNIT.lstrip("/")).write_text("half")
    done = board.switch()
    assert done.result == "refused"
    assert "was not copied whole" in str(done.reason)
    assert board.state == OLD


def test_where_nothing_ran_before_nothing_is_left(board: Board) -> None:
    board.layout.current.unlink()
    board.boots.unlink()
    board.machine.well = False
    assert board.switch().result == "rolled back"
    assert board.state == {**OLD, "runs": None}
    assert board.machine.enabled == set()


def test_two_switches_at_once_are_one_too_many(board: Board) -> None:
    with board.switcher.locked(), pytest.raises(Refused, match="another switch is under way"):
        board.switch()


def test_three_releases_stay_and_the_one_that_runs_is_among_them(board: Board) -> None:
    for number in range(4):
        folder = board.layout.release(f"more{number}")
        folder.mkdir()
        (folder / "release.json").write_text(json.dumps({"id": folder.name}))
        os.utime(folder / "release.json", (2e9 + number, 2e9 + number))
    (board.layout.release("half") / "bin").mkdir(parents=True)
    assert prune(board.layout) == ["half", "more0", "more1", "new"]
    kept = [one.id for one in listed(board.layout).releases]
    assert kept == ["more3", "more2", "old"]


def test_a_rollback_with_nowhere_to_go_reports_so(board: Board) -> None:
    with pytest.raises(Refused, match="no earlier release"):
        previous(board.layout)
    with pytest.raises(Refused, match="there is no release gone here; there is: "):
        rollback_change(board.layout, "gone")
