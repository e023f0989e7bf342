"""One device for all tests here: Debian with systemd, behind a real SSH server, and a laptop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgefer_device.deploy import artifacts
from rig.container import Device, booted
from rig.deployment import edgefer
from rig.root import Root
from support.firmware_files import Done

CACHE = Path(__file__).parents[2] / ".cache" / "deploy"
GOOD = 'camera = "demo:"\nsinks = ["mirror:"]\n'
"""Settings that work where there is no camera and no broker."""


@dataclass(frozen=True)
class Laptop:
    """Where `edgefer deploy` is typed: a home of its own, with a key and known_hosts."""

    home: Path
    device: Device
    wheel: Path

    @property
    def address(self) -> str:
        return f"pi@127.0.0.1:{self.device.port}"

    def edgefer(self, *words: object, **variables: str) -> Done:
        """Run a verb as a person would."""
        return edgefer(self.home, *words, seconds=800, **variables)

    def deploy(self, *words: object, settings: str = GOOD, **variables: str) -> Done:
        """Deploy to the device, from wheels of this machine, with a short watch time."""
        file = self.home / "settings.toml"
        file.write_text(settings)
        given = [] if "--host" in words else ["--host", self.address]
        wheel = [] if "--wheel" in words else ["--wheel", self.wheel]
        target = [] if "--target" in words else ["--target", "debian"]
        options = [*target, "--offline", "--settings", file, "--wheels", CACHE]
        return self.edgefer(
            *("deploy", *options, "--watch", 4, "--deadline", 40, *given, *wheel, *words),
            **variables,
        )

    @property
    def wheelhouse(self) -> Path:
        """Where the wheels for its device are kept."""
        return CACHE

    @contextlib.contextmanager
    def known_as(self, port: int) -> Iterator[None]:
        """Know the device's key by another port too."""
        known = self.home / ".ssh" / "known_hosts"
        before = known.read_text()
        known.write_text(before + before.replace(f":{self.device.port} ", f":{port} "))
        try:
            yield
        finally:
            known.write_text(before)

    def running(self) -> str:
        """The release that the device runs."""
        return Path(self.device.check("readlink /opt/edgefer/current").strip()).name


@contextlib.contextmanager
def without(file: Path) -> Iterator[None]:
    """Take a file away for a while."""
    aside = file.with_suffix(".aside")
    file.rename(aside)
    try:
        yield
    finally:
        aside.rename(file)


@contextlib.contextmanager
def covered(device: Device, program: str, script: str) -> Iterator[None]:
    """Put another program in one's place, for everybody on the device."""
    device.check(f"printf '%s\\n' '#!/bin/sh' {script!r} >/run/cover && chmod 755 /run/cover")
    device.check(f"mount --bind /run/cover $(readlink -f {program})")
    try:
        yield
    finally:
        device.check(f"umount $(readlink -f {program})")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Edgefer's own wheel, built once."""
    return artifacts.own_wheel(None, tmp_path_factory.mktemp("wheel"))


@contextlib.contextmanager
def beside_fresh_device(home: Path, wheel: Path) -> Iterator[Laptop]:
    """A laptop that knows a device on which nothing was deployed yet."""
    with booted(Root().built()) as device:
        ssh = home / ".ssh"
        ssh.mkdir()
        (ssh / "known_hosts").write_text(device.known_hosts.read_text())
        (ssh / "id_ed25519").write_text(device.key.read_text())
        (ssh / "id_ed25519").chmod(0o600)
        yield Laptop(home, device, wheel)


@pytest.fixture(scope="session")
def laptop(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[Laptop]:
    """A laptop beside a fresh device."""
    with beside_fresh_device(tmp_path_factory.mktemp("home"), wheel) as laptop:
        yield laptop


@pytest.fixture
def fresh(tmp_path: Path, wheel: Path) -> Iterator[Laptop]:
    """A laptop beside a fresh device that no other test sees."""
    with beside_fresh_device(tmp_path, wheel) as laptop:
        yield laptop


@pytest.fixture(scope="session")
def deployed(laptop: Laptop) -> Laptop:
    """The same, once a first deployment has worked."""
    done = laptop.deploy()
    assert done.status == 0, done.out + done.err
    return laptop
