"""MagicMirror itself shows what a real daemon sees, through a broker and over its own WebSocket."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import aiomqtt
import cv2
import numpy as np
import pytest
from selenium import webdriver

from edgefer_device.web.access import Token
from support.browser import chromium, picture
from support.magicmirror import Installed, magicmirror
from support.mosquitto import Mosquitto, executable, free_port

TOPIC = "home/mirror"

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return magicmirror(tmp_path_factory.mktemp("module"))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path).running() as broker:
        yield broker


@pytest.fixture(scope="module")
def clip(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody smiles for seven seconds, then nobody is there for seven."""
    path = tmp_path_factory.mktemp("clip") / "comes-and-goes.avi"
    source = cv2.VideoCapture(str(data / "clips/single_face.mp4"))
    frames = []
    while (read := source.read())[0]:
        frames.append(cv2.resize(read[1], (640, 360)))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (640, 360))
    for frame in frames[:70] + [np.full((360, 640, 3), 90, np.uint8)] * 70:
        writer.write(frame)
    writer.release()
    return path


@contextmanager
def daemon(clip: Path, state: Path, *sinks: str) -> Iterator[subprocess.Popen[bytes]]:
    words = [
        sys.executable,
        "-m",
        "edgefer.cli",
        "run",
        "--camera",
        f"file:{clip}?pace=real&loop=1",
    ]
    words += [word for sink in sinks for word in ("--sink", sink)]
    settings = state / "edgefer.toml"
    settings.write_text(f"state = {json.dumps(str(state))}\n")
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen([*words, "--config", str(settings)], env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()


class Screen:
    """MagicMirror's page in a browser."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self._driver = driver

    def scenes(self) -> Any:
        return self.run(
            "return [...document.querySelectorAll('.mmm-edgefer')].map((e) => e.dataset.scene)"
        )

    def text(self) -> str:
        """What stands on the screen, whatever its opacity."""
        return str(self.run("return document.body.innerText"))

    def heard(self) -> Any:
        return self.run("return window.heard")

    def run(self, script: str) -> Any:
        return self._driver.execute_script(script)

    def until(self, holds: Callable[[], Any], seconds: float = 40) -> Any:
        end = time.monotonic() + seconds
        while not (found := holds()):
            assert time.monotonic() < end, (self.scenes(), self.text(), self.heard())
            time.sleep(0.1)
        return found

    def shows(self, *scenes: str, seconds: float = 40) -> None:
        self.until(lambda: self.scenes() == list(scenes), seconds)

    def says(self, words: str, seconds: float = 40) -> None:
        self.until(lambda: words in self.text(), seconds)

    def picture(self, path: Path) -> None:
        path.write_bytes(picture(self._driver))

    def reload(self) -> None:
        self._driver.refresh()


@contextmanager
def shown(
    program: Installed, folder: Path, *configs: dict[str, Any], **settings: Any
) -> Iterator[Screen]:
    """A page with one module for each config, and one that listens."""
    modules = [
        {"module": "MMM-Edgefer", "position": "top_right", "config": config} for config in configs
    ]
    clock = {"module": "clock", "position": "top_left"}
    program.write_config(
        [clock, {"module": "MMM-Listener", "position": "bottom_bar"}, *modules], **settings
    )
    with program.running(folder / "magicmirror.log") as url, chromium() as driver:
        driver.get(url)
        yield Screen(driver)


def by_broker(broker: Mosquitto, **config: Any) -> dict[str, Any]:
    return {"source": f"mqtt://127.0.0.1:{broker.port}/{TOPIC}", **config}


def sink(broker: Mosquitto) -> str:
    return f"mqtt://127.0.0.1:{broker.port}/{TOPIC}"


def test_two_modules_show_what_is_seen_and_tell_others(
    program: Installed, broker: Mosquitto, clip: Path, tmp_path: Path
) -> None:
    port = free_port()
    first = by_broker(broker, ribbon=2, profiles={"happy": "bright"}, pages={"happy": 1})
    second = {"source": f"ws://127.0.0.1:{port}", "hideWhenNobody": False}
    with (
        daemon(clip, tmp_path, sink(broker), f"mirror:127.0.0.1:{port}"),
        shown(program, tmp_path, first, second) as screen,
    ):
        screen.shows("mood", "mood")
        screen.says("happy")
        screen.until(lambda: ["USER_PRESENCE", True, "MMM-Edgefer"] in screen.heard())
        names = {name: payload for name, payload, _ in screen.heard()}
        assert names["MOOD_CHANGED"]["mood"] == "happy"
        assert 0.3 < names["MOOD_CHANGED"]["confidence"] <= 1
        assert (names["CURRENT_PROFILE"], names["PAGE_SELECT"]) == ("bright", 1)
        drawn = "return document.querySelector('.mmm-edgefer canvas').dataset.motion"
        assert screen.run(drawn) == "breathing"
        screen.shows("nobody", "nobody")
        locks = "return MM.getModules().withClass('MMM-Edgefer').map((m) => m.lockStrings.length)"
        screen.until(lambda: screen.run(locks) == [1, 0])
        screen.until(lambda: ["USER_PRESENCE", False, "MMM-Edgefer"] in screen.heard())
        screen.reload()
        opacity = "return getComputedStyle(document.querySelector('.MMM-Edgefer')).opacity"
        screen.until(lambda: screen.scenes()[:1] == ["nobody"] and screen.run(opacity) == "0")
        screen.shows("mood", "mood")
        screen.until(lambda: screen.run(opacity) == "1")
        screen.until(lambda: screen.run(locks) == [0, 0])


def test_a_reload_finds_the_last_value_though_the_broker_stands_still(
    program: Installed, broker: Mosquitto, clip: Path, tmp_path: Path
) -> None:
    with (
        daemon(clip, tmp_path, sink(broker)),
        shown(program, tmp_path, by_broker(broker)) as screen,
    ):
        screen.shows("mood")
        with broker.stalled():
            screen.reload()
            screen.shows("mood", seconds=8)


def test_daemon_and_broker_may_go_and_come_later(
    program: Installed, broker: Mosquitto, clip: Path, tmp_path: Path
) -> None:
    with shown(program, tmp_path, by_broker(broker), timeFormat=12) as screen:
        with daemon(clip, tmp_path, sink(broker)):
            screen.shows("mood")
            broker.kill()
            screen.shows("trouble")
            screen.says("no connection")
            broker.start()
            screen.until(lambda: screen.scenes() in (["mood"], ["nobody"]))
        screen.shows("offline")
        screen.says("mirror away")
        assert "AM" in screen.text() or "PM" in screen.text()
        with daemon(clip, tmp_path, sink(broker)):
            screen.until(lambda: screen.scenes() in (["mood"], ["nobody"]))


@pytest.mark.parametrize("way", ["broker", "socket"])
def test_privacy_closes_the_camera(
    way: str, program: Installed, broker: Mosquitto, clip: Path, tmp_path: Path
) -> None:
    port = free_port()
    config = by_broker(broker) if way == "broker" else {"source": f"ws://127.0.0.1:{port}"}
    ask = "MM.getModules().withClass('MMM-Listener')[0].sendNotification('PRIVACY', {})"
    with (
        daemon(clip, tmp_path, sink(broker), f"mirror:127.0.0.1:{port}"),
        shown(program, tmp_path, config, language="de") as screen,
    ):
        screen.shows("mood")
        screen.run(ask.format("true"))
        screen.shows("paused")
        screen.says("die Kamera ist geschlossen")
        screen.run(ask.format("false"))
        screen.until(lambda: screen.scenes() in (["mood"], ["nobody"]))


def test_what_is_wrong_stands_on_the_screen(program: Installed, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    tool = executable("mosquitto_passwd")
    subprocess.run([tool, "-b", "-c", str(passwords), "mirror", "right"], check=True)
    (tmp_path / "locked").mkdir()
    # Started by root it would drop root's rights, and could not read the file.
    settings = f"allow_anonymous false\npassword_file {passwords}\nuser root\n"
    locked = Mosquitto(tmp_path / "locked", settings)
    (tmp_path / "open").mkdir()
    with (
        Mosquitto(tmp_path / "open").running() as broker,
        locked.running(),
        answering(400) as old,
        answering(401) as closed,
        shown(
            program,
            tmp_path,
            {"sources": "mqtt://127.0.0.1/x", "size": "big"},
            {"source": f"mqtt://127.0.0.1:{broker.port}/home/mirro"},
            {
                "source": f"mqtt://127.0.0.1:{locked.port}/{TOPIC}",
                "user": "mirror",
                "password": "no",
            },
            {"source": f"ws://127.0.0.1:{old}"},
            {"source": f"ws://127.0.0.1:{closed}", "token": "wrong"},
        ) as screen,
    ):
        screen.shows("config", "silent", "trouble", "trouble", "trouble")
        for words in (
            "sources: there is no such setting; did you mean source?",
            'size: expected 0, or pixels from 40 to 1000, got "big"',
            "No daemon has spoken at home/mirro. Is that the topic of its sink?",
            "The broker refuses user or password",
            "The daemon speaks another version: update edgefer and export the module again",
            "The daemon refuses the token; edgefer status shows it",
        ):
            screen.says(words)


def test_the_daemons_own_token_opens_it_and_another_does_not(
    program: Installed, clip: Path, tmp_path: Path
) -> None:
    port, here = free_port(), own_address()
    source = f"ws://{here}:{port}"
    token = Token.load(tmp_path).secret
    with (
        daemon(clip, tmp_path, f"mirror:0.0.0.0:{port}"),
        shown(
            program,
            tmp_path,
            {"source": source, "token": token},
            {"source": source, "token": "guessed"},
        ) as screen,
    ):
        screen.until(lambda: screen.scenes() in (["mood", "trouble"], ["nobody", "trouble"]))
        screen.says("The daemon refuses the token")


def test_a_state_of_another_version_is_not_guessed_at(
    program: Installed, broker: Mosquitto, tmp_path: Path
) -> None:
    asyncio.run(say(broker, {"availability": "online", "state": '{"expression": "happy"}'}))
    with shown(program, tmp_path, by_broker(broker)) as screen:
        screen.shows("trouble")
        screen.says("The daemon speaks another version")


def test_it_looks_as_the_document_shows(
    program: Installed, broker: Mosquitto, clip: Path, tmp_path: Path
) -> None:
    with (
        daemon(clip, tmp_path, sink(broker)),
        shown(program, tmp_path, by_broker(broker, ribbon=2, size=220)) as screen,
    ):
        for _ in range(3):
            screen.shows("nobody")
            screen.shows("mood")
        time.sleep(4)
        screen.picture(tmp_path / "magicmirror.png")
        if (folder := os.environ.get("RIG_PICTURES")) is not None:
            screen.picture(Path(folder) / "magicmirror.png")


async def say(broker: Mosquitto, messages: dict[str, str]) -> None:
    """Leave messages below the topic."""
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        for topic, payload in messages.items():
            await client.publish(f"{TOPIC}/{topic}", payload, qos=1, retain=True)


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server that answers everything with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def own_address() -> str:
    """An address of this machine that is not loopback."""
    words = ["hostname", "--all-ip-addresses"]
    found = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return next((one for one in found if "." in one), None) or pytest.skip("has no address")
