"""The kiosk: its unit and user read by systemd, and its session on a screen without a panel."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from rig.looks import is_written_on
from support.browser import CHROMEDRIVER
from support.firmware_files import FIRMWARE, System, run, tool
from support.live_mirror import LiveMirror
from support.mosquitto import free_port

COMMON = FIRMWARE / "common"
SESSION = COMMON / "edgefer-kiosk"
NOBODY = 65534
PATIENCE = 90.0
"""Seconds for a browser to start on a busy machine without a graphics card."""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that somebody without rights can enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="edgefer-kiosk-") as folder:
        place = Path(folder)
        shutil.copy(SESSION, place)
        shutil.copy(COMMON / "edgefer-screen", place)
        (place / "run").mkdir(mode=0o700)
        if os.getuid() == 0:
            os.chown(place / "run", NOBODY, NOBODY)
        place.chmod(0o755)
        yield place


@contextmanager
def session(place: Path, page: str, debugging: int) -> Iterator[subprocess.Popen[str]]:
    """The session as its user has it, on wlroots' headless screen."""
    for name, package in (("cage", "cage"), ("Xwayland", "xwayland"), ("chromium", "chromium")):
        tool(name, package)
    tool("grim", "grim")
    tool("wlr-randr", "wlr-randr")
    tool("chromedriver", "chromium-driver")
    # cage refuses to run as root, and so does Chromium's sandbox.
    ids = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "XDG_RUNTIME_DIR": str(place / "run"),
        "WLR_BACKENDS": "headless",
        "WLR_LIBINPUT_NO_DEVICES": "1",
        "WLR_RENDERER": "pixman",
        "EDGEFER_PAGE": page,
        "EDGEFER_KIOSK_FLAGS": "--disable-gpu --disable-dev-shm-usage --remote-debugging-port="
        f"{debugging}",
    }
    process = subprocess.Popen(
        [*(ids if os.getuid() == 0 else ()), "sh", str(place / SESSION.name)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait(what: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Wait until something holds; fail where it does not in time."""
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


def test_systemd_reads_the_unit_without_a_word(tmp_path: Path) -> None:
    system = System(tmp_path / "root")
    system.add(COMMON / "edgefer.service")
    system.add(COMMON / "edgefer-kiosk.service")
    done = system.verify("edgefer-kiosk.service")
    assert (done.status, done.err) == (0, "")


def test_systemd_makes_its_user(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "group").write_text("video:x:44:\nrender:x:105:\ninput:x:106:\n")
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    sysusers = tool("systemd-sysusers", "systemd")
    done = run(sysusers, f"--root={tmp_path}", COMMON / "edgefer-kiosk.conf")
    assert done.status == 0, done.err
    made = (tmp_path / "etc" / "passwd").read_text().splitlines()[-1]
    assert made.startswith("edgefer-kiosk:")
    assert made.endswith(":/nonexistent:/usr/sbin/nologin")
    groups = (tmp_path / "etc" / "group").read_text().splitlines()
    mine = {line.partition(":")[0] for line in groups if line.endswith(":edgefer-kiosk")}
    assert mine == {"render"}


def screen_is_written_on(place: Path) -> bool:
    """Whether the screen is black but for something bright on it."""
    with contextlib.suppress(AssertionError):  # no compositor yet
        in_session(place, "grim", str(place / "run" / "screen.png"))
        return is_written_on((place / "run" / "screen.png").read_bytes())
    return False


def test_it_says_what_it_waits_for_shows_the_page_and_ends_with_the_browser(place: Path) -> None:
    port, debugging = free_port(), free_port()
    with session(place, f"http://127.0.0.1:{port}/", debugging) as process:
        wait(lambda: screen_is_written_on(place))
        assert process.poll() is None
        with LiveMirror(port=port) as mirror:
            wait(lambda: len(mirror.sink.pages) == 1)
            profile = place / "run" / "edgefer-kiosk"
            assert profile.is_dir()
            # Chromium for Arm ends without a home that it can write to; its user's is nowhere.
            oldest = run("pgrep", "--oldest", "--full", f"user-data-dir={profile}").out.strip()
            assert f"HOME={profile}" in Path(f"/proc/{oldest}/environ").read_text().split("\0")
            if "version 0.1.4" in run("cage", "-v").out:  # Debian 12's
                assert asked(place, '{"on": true, "rotate": 0}') == '{"outputs": []}'
                assert "that of Debian 13 can" in asked(place, '{"on": false}')
            else:
                screen_obeys(place)
            wait(lambda: fills_the_screen(place, debugging))
            run("pkill", "-KILL", "-f", f"user-data-dir={profile}")
            wait(lambda: process.poll() is not None)


def fills_the_screen(place: Path, debugging: int) -> bool:
    """Whether the page has all of the screen, and no pointer on it."""
    options = webdriver.ChromeOptions()
    options.debugger_address = f"127.0.0.1:{debugging}"
    browser = webdriver.Chrome(options, Service(CHROMEDRIVER))
    try:
        found = browser.execute_script(
            "return [matchMedia('(display-mode: fullscreen)').matches,"
            " getComputedStyle(document.body).cursor, innerWidth, innerHeight]"
        )
    finally:
        browser.service.stop()  # the browser goes on
    in_session(place, "grim", str(place / "run" / "screen.png"))
    with Image.open(place / "run" / "screen.png") as screen:
        return bool(found == [True, "none", *screen.size])


def screen_obeys(place: Path) -> None:
    """Rotate the screen, switch it off and on, and take it away behind the session's back."""
    assert asked(place, '{"on": true, "rotate": 90}') == '{"outputs": ["HEADLESS-1"]}'
    assert outputs(place) == ["yes", "90"]
    assert asked(place, '{"on": false}') == '{"outputs": ["HEADLESS-1"]}'
    assert outputs(place)[0] == "no"
    asked(place, '{"on": true}')
    assert outputs(place) == ["yes", "90"]
    # A monitor that was away comes back unrotated, or off.
    for words in (("--transform", "normal"), ("--off",)):
        in_session(place, "wlr-randr", "--output", "HEADLESS-1", *words)
        wait(lambda: outputs(place) == ["yes", "90"])


def asked(place: Path, request: str) -> str:
    """Ask the session as the daemon does; return its answer."""
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.connect(str(place / "run" / "screen.sock"))
        daemon.sendall(f"{request}\n".encode())
        return daemon.makefile().readline().strip()


def in_session(place: Path, *command: str) -> str:
    """Run a program beside the browser."""
    user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    where = (f"XDG_RUNTIME_DIR={place / 'run'}", "WAYLAND_DISPLAY=wayland-0")
    done = run(*(user if os.getuid() == 0 else ()), "env", *where, *command)
    assert done.status == 0, done.err
    return done.out


def outputs(place: Path) -> list[str]:
    """Whether the screen is enabled, and its transform while it is, by the compositor's word."""
    return re.findall(r"(?:Enabled|Transform): (\w+)", in_session(place, "wlr-randr"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"PATH": "/nowhere"}, "chromium is not installed: sudo apt-get install chromium"),
        (
            {"XDG_RUNTIME_DIR": ""},
            "XDG_RUNTIME_DIR is not set (no PAM session): sudo apt-get install libpam-systemd",
        ),
    ],
)
def test_what_it_lacks_is_reported_in_a_line(change: dict[str, str], complaint: str) -> None:
    tool("cage", "cage")
    done = subprocess.run(
        ["/bin/sh", str(SESSION)],
        env={"PATH": os.environ["PATH"], **change},
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
