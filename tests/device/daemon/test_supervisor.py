"""The daemon as its service manager sees it: ready, paused, reloaded, restarted, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgefer.cli import main
from edgefer.errors import ControlError, StateError
from edgefer_device.daemon.assembly import prepare
from edgefer_device.daemon.configuration import Config
from edgefer_device.daemon.control_socket import request
from edgefer_device.daemon.supervisor import Supervisor
from edgefer_device.daemon.systemd import Notifier
from edgefer_device.system.paths import lock_state

PATIENCE = 60.0
"""Seconds that a test waits for what should come within two: CI machines are busy."""


class Daemon:
    """`edgefer run` as a service, with a manager that listens."""

    def __init__(
        self, folder: Path, settings: str = 'camera = "demo:"', sink: str | None = None
    ) -> None:
        self.folder, self.state, self.sink = folder, folder / "state", sink
        self.config = folder / "edgefer.toml"
        self.configure(settings)
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        # Read at once: the kernel keeps ten messages, and a daemon never waits for its manager.
        self._told: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._listen)
        self._reader.start()
        self.process = self.start()

    def configure(self, settings: str) -> None:
        sink = self.sink or f"jsonl:{self.folder / 'out.jsonl'}"
        text = f'state = "{self.state}"\nsinks = ["{sink}"]\n{settings}\n'
        beside = self.config.with_suffix(".part")
        beside.write_text(text)
        beside.rename(self.config)

    def heard(self, wanted: str) -> list[str]:
        """Return what the manager is told up to a message that begins so."""
        said: list[str] = []
        end = time.monotonic() + PATIENCE
        while not (said and said[-1].startswith(wanted)):
            said.append(self._told.get(timeout=max(0.0, end - time.monotonic())))
        return said

    def _listen(self) -> None:
        while message := self._manager.recv(4096):
            self._told.put(message.decode())

    @property
    def problems(self) -> list[str]:
        """What was told: the problem of each report, without one the mood; nobody is left out."""
        lines = (self.folder / "out.jsonl").read_text().splitlines()
        told = (json.loads(line) for line in lines if line.endswith("}"))
        words = (one["problem"] or one["mood"] for one in told)
        return [word for word in words if word]

    def request(self, command: str) -> dict[str, Any]:
        return dict(request([self.state], command))

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask until it says what is wanted; return that."""
        end = time.monotonic() + PATIENCE
        while True:
            said: dict[str, Any] = {}
            with contextlib.suppress(ControlError):
                said = self.request("status")
                if holds(said):
                    return said
            assert time.monotonic() < end, said
            time.sleep(0.05)  # real time: a process cannot be told that it has passed

    def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End it; return its exit status and what it wrote on stderr."""
        self.process.send_signal(how)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.folder / "notify"))
        self._reader.join(PATIENCE)
        self._manager.close()

    def start_again(self) -> None:
        self.process = self.start()

    def start(self) -> subprocess.Popen[str]:
        words = [sys.executable, "-W", "error", "-m", "edgefer.cli", "run"]
        environment = {
            "PYTHONPATH": ":".join(sys.path),
            "PATH": os.environ["PATH"],
            "NOTIFY_SOCKET": str(self.folder / "notify"),
            "WATCHDOG_USEC": "2000000",
        }
        return subprocess.Popen(
            [*words, "--config", str(self.config)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path)
    yield daemon
    daemon.close()


def test_a_service_notifies_ready_keep_alive_and_stopping(daemon: Daemon) -> None:
    assert daemon.heard("READY=1")[-1] == "READY=1"
    assert daemon.heard("STATUS=running, a face in view")
    assert daemon.heard("WATCHDOG=1")
    assert daemon.heard("WATCHDOG=1")
    assert daemon.end() == (0, "")
    assert daemon.heard("STOPPING=1")
    assert list(daemon.state.iterdir()) == []


def test_a_pause_closes_the_camera_and_outlives_a_restart(daemon: Daemon) -> None:
    daemon.until(lambda said: said["mood"] is not None)
    daemon.request("pause")
    said = daemon.until(lambda said: not said["camera_open"])
    assert (said["paused"], said["ok"], said["mood"]) == (True, True, None)
    assert daemon.heard("STATUS=paused: the camera is closed")
    daemon.heard("WATCHDOG=1")
    daemon.heard("WATCHDOG=1")  # a rest on purpose starves no watchdog
    daemon.until(lambda said: daemon.problems[-2:] == ["paused", "paused"])
    assert daemon.end()[0] == 0
    # From the first word of the pause on, no mood was told.
    since = daemon.problems.index("paused")
    assert set(daemon.problems[since:]) == {"paused"}
    daemon.start_again()
    said = daemon.until(lambda said: said["paused"])
    assert not said["camera_open"]
    daemon.request("resume")
    daemon.until(lambda said: said["mood"] is not None)
    status, errors = daemon.end()
    assert status == 0
    expected = "still paused: the camera stays closed until edgefer resume"
    assert errors == f"edgefer: warning: {expected}\n"


def typed(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def test_the_daemon_enrolls_with_its_own_camera(daemon: Daemon) -> None:
    words = ("enroll", "--config", str(daemon.config))
    daemon.until(lambda said: said["mood"] is not None)
    done = typed(*words, "sad", "angry", "--seconds", "1")
    assert done.exit_code == 0, done.output
    assert daemon.request("status")["calibration"].startswith("small, 20")
    assert "own calibration" in typed("status", "--config", str(daemon.config)).stdout
    assert "removed" in typed(*words, "--remove").stderr
    assert daemon.request("status")["calibration"] is None
    daemon.request("pause")
    done = typed(*words)
    expected = "edgefer: the camera is closed; nothing changed: edgefer resume opens it"
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (1, expected)


def test_sighup_reloads_the_configuration_and_a_bad_one_changes_nothing(
    daemon: Daemon,
) -> None:
    daemon.heard("READY=1")
    before = daemon.until(lambda said: said["analysed"] > 0)
    daemon.configure('camra = "demo:"')
    daemon.process.send_signal(signal.SIGHUP)
    daemon.heard("RELOADING=1")
    daemon.heard("READY=1")
    said = daemon.until(lambda said: said["analysed"] > before["analysed"])
    assert said["refused"] == f"{daemon.config}: unknown key 'camra'; did you mean 'camera'?"
    daemon.configure('camera = "demo:?rotate=180"\n[mood]\nthreshold = 0.7')
    daemon.process.send_signal(signal.SIGHUP)
    daemon.heard("RELOADING=1")
    daemon.heard("READY=1")
    said = daemon.until(lambda said: said["analysed"] > 0)
    assert (said["camera"], said["threshold"]) == ("demo:?rotate=180", 0.7)
    assert said["refused"] is None
    assert said["pid"] == before["pid"]
    status, errors = daemon.end()
    assert (status, errors.splitlines()) == (
        0,
        [
            f"edgefer: warning: {daemon.config}: unknown key 'camra'; did you mean 'camera'?; "
            "the previous configuration stays",
            "edgefer: configuration reloaded",
        ],
    )


def test_a_configuration_in_another_encoding_is_reported_and_changes_nothing(
    daemon: Daemon,
) -> None:
    daemon.heard("READY=1")
    before = daemon.until(lambda said: said["analysed"] > 0)
    daemon.config.write_bytes(
        daemon.config.read_bytes() + '[mirror]\nname = "Jörg"'.encode("latin-1")
    )
    daemon.process.send_signal(signal.SIGHUP)
    daemon.heard("RELOADING=1")
    daemon.heard("READY=1")
    assert daemon.until(lambda said: said["analysed"] > before["analysed"])
    status, errors = daemon.end()
    assert (status, len(errors.splitlines())) == (0, 1)
    assert f"{daemon.config}, line 5: expected UTF-8, got other bytes" in errors
    assert errors.endswith("the previous configuration stays\n")


def test_whatever_a_reload_raises_is_reported_and_the_previous_configuration_stays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def reread() -> Config:
        raise ZeroDivisionError("a fault of ours")

    notified: list[str] = []
    for name in ("reloading", "ready"):
        monkeypatch.setattr(Notifier, name, lambda _, name=name: notified.append(name))
    supervisor = Supervisor(Config(), prepare, reread)

    async def reload() -> None:
        supervisor.reload()
        assert supervisor._reloading is not None
        await asyncio.wait_for(supervisor._reloading, 10)

    asyncio.run(reload())
    assert notified == ["reloading", "ready"]
    assert caplog.messages == [
        "reload failed: ZeroDivisionError('a fault of ours'); the previous configuration stays"
    ]


def test_a_configuration_without_its_camera_gives_way_to_the_previous(
    daemon: Daemon,
) -> None:
    daemon.until(lambda said: said["analysed"] > 0)
    daemon.configure('camera = "v4l2:/dev/video99"')
    daemon.request("reload")
    daemon.heard("RELOADING=1")
    daemon.heard("READY=1")
    said = daemon.until(lambda said: said["analysed"] > 0)
    assert said["camera"] == "demo:"
    status, errors = daemon.end()
    assert status == 0
    assert "/dev/video99: no such camera" in errors.splitlines()[1]
    assert errors.splitlines()[1].endswith("the previous configuration stays")


def test_a_restart_is_a_fresh_process_of_the_same_pid(daemon: Daemon) -> None:
    before = daemon.until(lambda said: said["analysed"] > 20)
    daemon.request("restart")
    after = daemon.until(lambda said: said["analysed"] > 0 and said["uptime"] < before["uptime"])
    assert after["pid"] == before["pid"]
    # Whoever says STOPPING=1 is killed by systemd 90 s later, if it is still there.
    daemon.heard("READY=1")
    assert "STOPPING=1" not in daemon.heard("READY=1")
    assert daemon.end() == (0, "")


def test_it_ends_however_many_hangups_came(daemon: Daemon) -> None:
    daemon.until(lambda said: said["ok"])
    for _ in range(5000):
        daemon.process.send_signal(signal.SIGHUP)
    assert daemon.end()[0] == 0


def test_a_sighup_during_a_restart_does_not_end_the_daemon(daemon: Daemon) -> None:
    before = daemon.until(lambda said: said["analysed"] > 20)
    asked, ended = time.monotonic(), threading.Event()

    def shout() -> None:
        while not ended.wait(0.002):
            daemon.process.send_signal(signal.SIGHUP)

    shouting = threading.Thread(target=shout)
    daemon.request("restart")
    shouting.start()
    try:
        # Signals may keep it busy for longer than it had run before.
        daemon.until(lambda said: time.monotonic() - said["uptime"] > asked - 0.3)
    finally:
        ended.set()
        shouting.join()
    assert daemon.until(lambda said: said["analysed"] > 5)["pid"] == before["pid"]
    status, errors = daemon.end()
    assert status == 0
    assert set(errors.splitlines()) <= {"edgefer: configuration reloaded"}


def test_a_second_daemon_on_one_state_folder_is_refused_in_one_line(daemon: Daemon) -> None:
    daemon.until(lambda said: said["analysed"] > 0)
    other = daemon.start()
    _, errors = other.communicate(timeout=PATIENCE)
    assert other.returncode == 1
    assert errors.startswith(f"edgefer: {daemon.state}: another edgefer run uses this state folder")
    assert errors.count("\n") == 1
    daemon.end(signal.SIGKILL)
    daemon.start_again()
    daemon.until(lambda said: said["analysed"] > 0)


def test_a_clips_daemon_keeps_no_history_in_the_folder_of_another(
    daemon: Daemon, tmp_path: Path, data: Path
) -> None:
    daemon.until(lambda said: said["analysed"] > 0)
    clip = f"file:{data / 'clips/single_face.mp4'}"
    config = tmp_path / "clip.toml"
    config.write_text(
        f'state = "{daemon.state}"\ncamera = "{clip}"\nsinks = []\n[history]\nkeep_days = 7\n'
    )
    done = typed("run", "--config", str(config), "--frames", "30")
    assert done.exit_code == 0, done.output
    warned = (
        f"edgefer: warning: no history is kept of {clip}: {daemon.state}: another edgefer run uses"
    )
    assert warned in done.stderr
    assert not (daemon.state / "history.sqlite").exists()
    daemon.end()
    done = typed("run", "--config", str(config), "--frames", "30")
    assert "no history is kept" not in done.stderr
    assert (daemon.state / "history.sqlite").exists()


def test_a_state_folder_that_is_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("mine")
    refused = pytest.raises(StateError, match="state: is no folder; set another one as state")
    with refused, lock_state(tmp_path / "state"):
        pass


def test_repeated_reloads_leak_no_descriptor_and_no_thread(daemon: Daemon) -> None:
    def held() -> tuple[int, int]:
        own = Path(f"/proc/{daemon.process.pid}")
        return len(list((own / "fd").iterdir())), len(list((own / "task").iterdir()))

    daemon.until(lambda said: said["analysed"] > 5)
    daemon.heard("READY=1")
    before = held()
    for _ in range(4):
        daemon.request("reload")
        daemon.heard("READY=1")
        daemon.until(lambda said: said["analysed"] > 3)
    handles, threads = held()
    assert handles <= before[0] + 1  # the one that asks may not be gone yet
    assert threads <= before[1] + 1
    assert daemon.end()[0] == 0


def test_a_full_disk_under_the_state_folder_ends_nothing(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, 'camera = "demo:"\n[history]\nkeep_days = 90', "mirror:127.0.0.1:0")
    try:
        daemon.until(lambda said: said["mood"] is not None)
        # No file may be longer than nothing: what a full disk does to whoever writes.
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (0, 0))
        daemon.request("pause")
        daemon.until(lambda said: not said["camera_open"])
        daemon.request("resume")
        before = daemon.until(lambda said: said["mood"] is not None)["analysed"]
        daemon.until(lambda said: said["analysed"] > before + 20)
        status, errors = daemon.end()
    finally:
        daemon.close()
    assert status == 0, errors
    assert "the pause will not outlive a restart: File too large" in errors
    assert "the history cannot be used" in errors


@pytest.mark.parametrize("verb", ["status", "pause", "resume", "reload", "restart"])
def test_without_a_daemon_a_command_is_one_clear_line(verb: str, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from edgefer.cli import main

    config = tmp_path / "edgefer.toml"
    config.write_text(f'state = "{tmp_path}"\n')
    done = CliRunner().invoke(main, [verb, "--config", str(config)])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"edgefer: no daemon responds at {tmp_path}/control.sock (No")
    assert done.stderr.count("\n") == 1


def test_a_daemon_that_reads_a_clip_reports_its_status_and_pauses(
    tmp_path: Path, data: Path
) -> None:
    clip = f'camera = "file:{data / "clips/single_face.mp4"}?loop=1"'
    with contextlib.closing(Daemon(tmp_path, clip)) as daemon:
        assert "single_face.mp4" in daemon.until(lambda said: said["ok"])["camera"]
        daemon.request("pause")
        daemon.until(lambda said: said["paused"])


def test_the_commands_control_the_daemon(daemon: Daemon) -> None:
    from click.testing import CliRunner

    from edgefer.cli import main

    def edgefer(*words: str) -> str:
        done = CliRunner().invoke(main, [*words, "--config", str(daemon.config)])
        assert done.exit_code == 0, done.output
        return done.output

    daemon.until(lambda said: said["ok"])
    assert json.loads(edgefer("status", "--json"))["camera"] == "demo:"
    assert edgefer("pause") == "edgefer: paused: the camera is closed\n"
    daemon.until(lambda said: not said["camera_open"])
    assert edgefer("status").startswith("paused: the camera is closed\n")
    assert edgefer("resume") == "edgefer: resumed\n"
    daemon.until(lambda said: said["mood"] is not None)
    assert edgefer("reload") == "edgefer: reloading\n"
    daemon.heard("RELOADING=1")
    daemon.until(lambda said: said["analysed"] > 0)
