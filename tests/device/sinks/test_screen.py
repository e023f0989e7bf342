"""The screen: off when nobody is there for long, and never before."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgefer.messages import Report
from edgefer_device.sinks.opening import SinkContext, open_sinks
from edgefer_device.sinks.screen import RETRY_SECONDS, ScreenSettings, ScreenSink
from support.mosquitto import free_port

NOBODY = Report(0.0, 0, (), None, None)
SOMEBODY = Report(0.0, 0, (), "happy", 0.9)
NO_PICTURE = Report(0.0, 0, (), None, None, problem="paused")


class Room:
    """A screen whose commands write down what they did, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self._log = folder / "log"
        self.program = folder / "screen"
        self.program.write_text(f'#!/bin/sh\necho "$1" >> {self._log}\n')
        self.program.chmod(0o755)
        name = str(self.program)
        settings = ScreenSettings(tool="command", off_after=1, on=(name, "on"), off=(name, "off"))
        self.sink = ScreenSink(settings, clock=lambda: self.now)

    @property
    def switched(self) -> list[str]:
        return self._log.read_text().split() if self._log.exists() else []

    async def see(self, report: Report, seconds: float) -> None:
        """Let a report stand for some seconds."""
        for _ in range(int(seconds)):
            await self.sink.publish(report)
            self.now += 1
        await self.settled()

    async def settled(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task.get_name() == "screen"]
        if tasks:
            await asyncio.wait(tasks)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 20))


def test_it_goes_off_without_anybody_and_on_for_the_first_face(room: Room) -> None:
    async def story() -> None:
        async with room.sink:
            await room.see(NOBODY, 59)
            assert room.switched == []
            await room.see(NOBODY, 3)
            assert room.switched == ["off"]
            await room.see(NOBODY, 300)
            assert room.switched == ["off"]
            await room.see(SOMEBODY, 1)
            assert room.switched == ["off", "on"]

    run(story)


def test_it_never_goes_off_while_somebody_may_be_there(room: Room) -> None:
    async def story() -> None:
        async with room.sink:
            for _ in range(20):
                await room.see(NOBODY, 50)
                await room.see(SOMEBODY, 1)
                await room.see(NOBODY, 50)
                await room.see(NO_PICTURE, 1)
            await room.see(NO_PICTURE, 600)
            assert room.switched == []

    run(story)


def test_a_lost_camera_and_a_pause_switch_it_on(room: Room) -> None:
    async def story() -> None:
        async with room.sink:
            await room.see(NOBODY, 70)
            await room.see(NO_PICTURE, 1)
            assert room.switched == ["off", "on"]

    run(story)


def test_it_is_on_at_the_end(room: Room) -> None:
    async def story() -> None:
        async with room.sink:
            await room.see(NOBODY, 70)
        assert room.switched == ["off", "on"]

    run(story)


def test_a_command_that_fails_is_said_and_tried_again_later(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with room.sink:
            good = room.program.read_text()
            room.program.write_text("#!/bin/sh\nexit 3\n")
            await room.see(NOBODY, 70)
            assert room.sink.fault == f"{room.program} ended with status 3"
            room.program.write_text(good)
            await room.see(NOBODY, RETRY_SECONDS + 2)
            assert room.switched == ["off"]

    run(story)
    assert len(caplog.records) == 1


def test_a_program_that_is_not_there_ends_nothing(tmp_path: Path) -> None:
    settings = ScreenSettings(tool="wlopm", off_after=1)
    now = [0.0]
    sink = ScreenSink(settings, clock=lambda: now[0])

    async def story() -> None:
        async with sink:
            await sink.publish(NOBODY)
            now[0] = 100.0
            await sink.publish(NOBODY)
        assert sink.fault == "wlopm cannot be started: No such file or directory"

    run(story)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tool": "command"},
        {"on": ("a",), "off": ("b",)},
        {"off_after": 0.0},
        {"rotate": 90},
        {"tool": "kiosk", "rotate": 45},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, ScreenSettings)


def test_it_is_there_only_where_it_is_configured() -> None:
    def kinds(settings: ScreenSettings) -> int:
        return len(open_sinks((), SinkContext(screen=settings)).sinks)

    assert kinds(ScreenSettings(tool="wlopm")) == kinds(ScreenSettings()) + 1


WLR_RANDR = """#!/bin/sh
# Two outputs whose state lies in files, as the real one prints it.
cd {folder}
[ "$#" -gt 0 ] || {{ cat HDMI-A-1 DSI-1; exit; }}
echo "$@" >>log
name=$2; shift 2
while [ "$#" -gt 0 ]; do
    case $1 in
        --on) sed -i "s/Enabled: no/Enabled: yes/" $name ;;
        --off) sed -i "s/Enabled: yes/Enabled: no/" $name ;;
        --transform) sed -i "s/Transform: .*/Transform: $2/" $name; shift ;;
    esac
    shift
done
"""
SESSION = Path(__file__).parents[3] / "firmware-config" / "common" / "edgefer-screen"


class Kiosk:
    """The kiosk's session itself, with a wlr-randr and a television of the test's."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 0.0
        for name in ("HDMI-A-1", "DSI-1"):
            text = f'{name} "a monitor"\n  Enabled: yes\n  Transform: normal\n'
            (folder / name).write_text(text)
        self.program("wlr-randr", WLR_RANDR.format(folder=folder))
        self.program("systemctl", f"#!/bin/sh\ncat {folder}/status\n")
        self.program("cec-ctl", f'#!/bin/sh\necho "$@" >>{folder}/cec\n')
        settings = ScreenSettings(tool="kiosk", off_after=1, rotate=90)
        socket = folder / "screen.sock"
        self.sink = ScreenSink(settings, clock=lambda: self.now, kiosk=socket)

    def program(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o755)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[None]:
        """It runs, with a browser that only waits."""
        where = {"RUNTIME_DIRECTORY": str(self.folder)}
        environment = {
            **os.environ,
            **where,
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "EDGEFER_CEC": str(self.folder / "log"),
            "EDGEFER_PAGE": f"http://127.0.0.1:{free_port()}/",
        }
        command = [sys.executable, str(SESSION), "sh", "-c", "exec sleep 1000"]
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        try:
            while not (self.folder / "screen.sock").exists():
                await asyncio.sleep(0.02)
            yield
            assert (self.folder / "waiting.html").exists()
        finally:
            process.kill()
            await process.wait()
            (self.folder / "screen.sock").unlink()

    async def see(self, report: Report, seconds: float) -> None:
        """Let a report stand; each switch ends before the next report."""
        for _ in range(int(seconds / 10)):
            await self.sink.publish(report)
            if self.sink._switching is not None:
                await self.sink._switching
            self.now += 10

    @property
    def outputs(self) -> list[str]:
        """Of both: whether it is enabled, and its transform."""
        texts = [(self.folder / name).read_text() for name in ("HDMI-A-1", "DSI-1")]
        return [" ".join(line.split()[-1] for line in text.splitlines()[1:]) for text in texts]


def test_the_kiosks_session_is_asked_and_obeys(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path)

    async def story() -> None:
        async with kiosk.sink, kiosk.session():
            await kiosk.see(SOMEBODY, 10)
            assert kiosk.outputs == ["yes 90", "yes 90"]
            await kiosk.see(NOBODY, 90)
            assert kiosk.outputs == ["no 90", "no 90"]
            await kiosk.see(SOMEBODY, 10)
            assert kiosk.outputs == ["yes 90", "yes 90"]
            assert kiosk.sink.fault is None
        orders = [
            line.partition("--to 0 ")[2] for line in (tmp_path / "cec").read_text().splitlines()
        ]
        assert [one for one in orders if one] == ["--standby", "--image-view-on"]

    run(story)


def test_a_session_that_begins_again_is_asked_again(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path)

    async def story() -> None:
        async with kiosk.sink:
            async with kiosk.session():
                await kiosk.see(NOBODY, 90)
                assert kiosk.outputs == ["no 90", "no 90"]
            for name in ("HDMI-A-1", "DSI-1"):
                text = f'{name} "a monitor"\n  Enabled: yes\n  Transform: normal\n'
                (tmp_path / name).write_text(text)
            async with kiosk.session():
                await kiosk.see(NOBODY, 20)
                assert [one.split()[0] for one in kiosk.outputs] == ["no", "no"]

    run(story)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("no camera (no /dev/video*)", "camera"),
        ("model.zip: not a model bundle", "model"),
        ("edgefer.toml: unknown key 'camra'", "other"),
        ("", "starting"),
    ],
)
def test_without_a_page_the_screen_tells_what_is_missing(
    tmp_path: Path, status: str, kind: str
) -> None:
    kiosk = Kiosk(tmp_path)
    (tmp_path / "status").write_text(f"{status}\n")
    (tmp_path / "settings.json").write_text('{"language": "de", "rotate": 270}')

    async def story() -> None:
        async with kiosk.session():
            wanted = f"show({json.dumps({'kind': kind, 'text': status})})"
            while (tmp_path / "state.js").read_text() != wanted:
                await asyncio.sleep(0.02)
            assert 'wanted = "de"' in (tmp_path / "waiting.html").read_text()
            assert "Keine Kamera" in (tmp_path / "waiting.html").read_text()
            while kiosk.outputs != ["yes 270", "yes 270"]:
                await asyncio.sleep(0.02)

    run(story)


def test_root_writes_the_settings_through_no_link(tmp_path: Path) -> None:
    """The folder is the session's user's, who could leave a link to any file of root's."""
    (tmp_path / "roots").write_text("root's own")
    (tmp_path / "settings.part").symlink_to(tmp_path / "roots")
    environment = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)}
    command = [sys.executable, str(SESSION), "--read-settings"]
    subprocess.run(command, env=environment, check=True)
    assert (tmp_path / "roots").read_text() == "root's own"
    assert not (tmp_path / "settings.json").is_symlink()
    assert isinstance(json.loads((tmp_path / "settings.json").read_text()), dict)


def test_a_command_without_an_end_is_ended(tmp_path: Path) -> None:
    script = f"""
import asyncio, runpy, sys
session = runpy.run_path({str(SESSION)!r})
session["run"].__globals__["SECONDS"] = 0.3
async def story():
    try:
        await session["run"]("sh", "-c", "echo $$ >{tmp_path}/pid; exec sleep 1000")
    except session["Failed"] as exc:
        print(exc)
asyncio.run(story())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "sh: no end\n"
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_a_kiosk_that_does_not_run_is_a_fault_only_where_it_is_to_go_off(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path)

    async def story() -> None:
        async with kiosk.sink:
            await kiosk.see(SOMEBODY, 30)
            assert kiosk.sink.fault is None
            await kiosk.see(NOBODY, 90)
            assert "does not answer" in str(kiosk.sink.fault)
            assert "systemctl status edgefer-kiosk" in str(kiosk.sink.fault)

    run(story)


def test_what_the_compositor_refuses_is_a_fault(tmp_path: Path) -> None:
    kiosk = Kiosk(tmp_path)

    async def story() -> None:
        async with kiosk.sink, kiosk.session():
            kiosk.program("wlr-randr", "#!/bin/sh\necho no compositor >&2; exit 1\n")
            await kiosk.see(NOBODY, 90)
            assert kiosk.sink.fault == "wlr-randr: no compositor"

    run(story)
