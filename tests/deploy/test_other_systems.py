"""A deployment typed on Windows or macOS: pure Python, and no program of this machine but it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.conftest import Laptop
from edgefer_device.deploy import artifacts, staging

FOREIGN = Path(__file__).parents[1] / "support" / "foreign"


def test_a_laptop_without_linux_deploys(laptop: Laptop) -> None:
    path = os.pathsep.join([str(FOREIGN), *sys.path])
    done = laptop.deploy("--kiosk", "--no-camera", "--dry-run", PYTHONPATH=path)
    assert done.status == 0, done.out + done.err
    assert "would write /usr/local/bin/edgefer-screen" in done.out
    done = laptop.deploy(PYTHONPATH=path)
    assert done.status == 0, done.out + done.err
    assert "deployed" in done.out or "unchanged" in done.out


def test_what_other_systems_lack_is_really_away() -> None:
    for line in (
        "import fcntl",
        "import os; os.geteuid",
        "import subprocess; subprocess.run(['sh'])",
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"__name__ = 'edgefer_x'\n{line}"],
            env={**os.environ, "PYTHONPATH": str(FOREIGN)},
            check=False,
            capture_output=True,
            text=True,
        )
        assert "is not on every system" in done.stderr, line


@pytest.mark.parametrize("target", ["rpi", "rpi-coral", "jetson", "debian"])
@pytest.mark.parametrize("options", [(), ("--kiosk",), ("--kiosk", "--broker")])
def test_the_laptop_and_the_installer_put_the_same_there(
    tmp_path: Path, target: str, options: tuple[str, ...]
) -> None:
    config = tmp_path / "boot" / "firmware" / "config.txt"
    config.parent.mkdir(parents=True)
    config.write_text("arm_boost=1\n")
    for place in (staging.SETTINGS, *staging.SECRETS):
        (tmp_path / place[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place[1:]).write_text("own")
    before = {staging.CONFIG_TXT: staging.Placed(config.read_bytes(), 0o644)}
    install = artifacts.firmware_config() / "common" / "install"
    subprocess.run(["sh", install, "--root", tmp_path, *options, target], check=True)
    own = {staging.SETTINGS, *staging.SECRETS}
    made = {
        f"/{path.relative_to(tmp_path)}": (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in tmp_path.rglob("*")
        if path.is_file() and f"/{path.relative_to(tmp_path)}" not in own
    }
    wanted = staging.wanted(target, "--kiosk" in options, "--broker" in options, before)
    if not target.startswith("rpi"):
        del made[staging.CONFIG_TXT]
    assert {path: (file.content, file.mode) for path, file in wanted.items()} == made
