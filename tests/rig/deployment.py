"""`edgefer deploy` as somebody types it, to a device of the rig."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rig.reach import Reach
from rig.root import CACHE
from support.firmware_files import Done

SETTINGS = 'camera = "demo:"\nsinks = ["mirror:", "mqtt://127.0.0.1/edgefer"]\n'
"""The portrait for a camera: its mood is known."""
EDGEFER_HERE = (sys.executable, "-m", "edgefer.cli")
EDGEFER = "/opt/edgefer/current/bin/edgefer"
WELL = (
    f"systemctl -q is-active edgefer && {EDGEFER} status && test ! -e /opt/edgefer/undo/undo.json"
)
"""It runs, says that it is well, and no switch is left half made."""
STATE = "mosquitto_sub -W 60 -C 1 -u edgefer -P $(cat /etc/edgefer/mqtt-password) -t edgefer/state"
"""Prints the state that the device's own broker keeps."""


def edgefer(home: Path, *words: object, seconds: float = 1800, **variables: str) -> Done:
    """Run a verb as somebody types it, whose home has the keys, hosts and settings of SSH."""
    done = subprocess.run(
        [*EDGEFER_HERE, *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**environment(home), **variables},
    )
    return Done(done.returncode, done.stdout, done.stderr)


def environment(home: Path) -> dict[str, str]:
    """Return this process's own with another home, and a screen of one width."""
    own = {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "COLUMNS": "200"}
    return {**os.environ, **own}


def command(
    device: Reach, *options: str, settings: str = SETTINGS, offline: bool = True
) -> list[str]:
    """The words of a deployment; `offline`, the device needs no network for it."""
    file = device.folder / "wanted.toml"
    file.write_text(settings)
    home = device.folder / "home" / ".ssh"
    home.mkdir(parents=True, exist_ok=True)
    (home / "known_hosts").write_text(device.known_hosts.read_text())
    return [
        *(*EDGEFER_HERE, "deploy", "--target", "debian"),
        *(["--offline"] if offline else []),
        *("--host", f"pi@127.0.0.1:{device.port}", "--key", str(device.key), "--broker"),
        *("--settings", str(file), "--wheels", str(CACHE / "wheels"), *options),
    ]


def begin(
    device: Reach, *options: str, settings: str = SETTINGS, offline: bool = True
) -> subprocess.Popen[str]:
    """Start a deployment; `finish` waits for it."""
    return subprocess.Popen(
        command(device, *options, settings=settings, offline=offline),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(device.folder / "home"),
        start_new_session=True,
    )


def finish(deployment: subprocess.Popen[str], seconds: float = 1800) -> Done:
    """Wait for the end of a deployment."""
    out, _ = deployment.communicate(timeout=seconds)
    return Done(deployment.returncode, out, "")


def deploy(
    device: Reach,
    *options: str,
    settings: str = SETTINGS,
    offline: bool = True,
    seconds: float = 1800,
) -> Done:
    """Deploy to its end; nothing is raised for a status other than 0."""
    return finish(begin(device, *options, settings=settings, offline=offline), seconds)


def abandon(deployment: subprocess.Popen[str]) -> None:
    """Let go of a deployment whose device is gone."""
    deployment.kill()
    deployment.communicate()


def release(device: Reach) -> str:
    """Return the release that runs, by its process's own word."""
    pid = device.property("edgefer.service", "MainPID")
    running = device.check(f"readlink -f /proc/{pid}/exe; tr '\\0' '\\n' </proc/{pid}/cmdline")
    current = device.check("readlink /opt/edgefer/current").strip()
    assert current in running
    return Path(current).name


def forget(device: Reach, name: str) -> None:
    """Remove all releases but one, so that the next is made from nothing."""
    device.check(
        f"cd /opt/edgefer/releases; for one in *; do [ $one = {name} ] || rm -r $one; done"
    )
