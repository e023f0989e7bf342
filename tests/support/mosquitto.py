"""A real Mosquitto for tests, on a free loopback port."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Mosquitto:
    """A real broker on loopback that can be stopped and started again."""

    folder: Path
    settings: str = "allow_anonymous true\n"
    port: int = field(default_factory=free_port)
    host: str = "127.0.0.1"
    _process: subprocess.Popen[str] | None = None

    @contextmanager
    def running(self) -> Iterator[Mosquitto]:
        self.start()
        try:
            yield self
        finally:
            self.kill()

    def start(self) -> None:
        """Start it and wait until it listens."""
        config = self.folder / "mosquitto.conf"
        listener = f"listener {self.port} {self.host}\n"
        config.write_text(f"{listener}log_dest stderr\nlog_type all\n{self.settings}")
        command = [executable("mosquitto"), "-c", str(config)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        while "running" not in (line := self._process.stderr.readline()):
            assert line, "mosquitto ended before it was ready"
        # Nobody reads its log any longer; a full pipe would stop it.
        self._process.stderr.close()

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Let it stand still: it holds its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a word to its clients."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()


def executable(name: str) -> str:
    """The path of one of Mosquitto's programs; Debian keeps the broker in /usr/sbin."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed: apt-get install mosquitto")
    return found
