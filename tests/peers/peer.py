"""A package beside ours: what is installed for it, its adapter, and its process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache/peers"
ADAPTERS = HERE / "adapters"


@dataclass(frozen=True)
class Peer:
    """One package in one of its settings."""

    name: str
    adapter: Path
    environment: str
    """A folder of the cache; peers may share one. Empty: the Python that runs the bench."""
    requires: Sequence[str] = ()
    """What is installed."""
    without: Sequence[str] = ()
    """The same, without what it depends on."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of the adapter."""
    changes: bool = False
    """Whether it is this very project, whose code is installed anew each time."""

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return CACHE / self.environment / "bin/python" if self.environment else Path(sys.executable)

    @property
    def installed_mb(self) -> float | None:
        """Size of what was installed into it, million bytes; None without an environment."""
        if not self.environment:
            return None
        (packages,) = (CACHE / self.environment / "lib").glob("python*/site-packages")
        files = (path for path in packages.rglob("*") if path.is_file())
        # Compiled files come with use, not with installing.
        return sum(one.stat().st_size for one in files if one.suffix != ".pyc") / 1e6

    def install(self) -> None:
        """Make its environment, unless one for the same packages is there."""
        folder = CACHE / self.environment
        stamp, wanted = folder / "installed", json.dumps([*self.requires, *self.without])
        if not self.environment:
            return
        if stamp.is_file() and stamp.read_text() == wanted:
            if self.changes:
                self._install(["--no-deps", "--reinstall", "."])
            return
        print(f"installing {', '.join([*self.requires, *self.without])}", file=sys.stderr)
        venv.create(folder, clear=True)
        for words in (self.requires, ["--no-deps", *self.without] if self.without else []):
            if words:
                self._install(words)
        stamp.write_text(wanted)

    def _install(self, words: Sequence[str]) -> None:
        """Have uv install packages: gigabytes of them in seconds, where pip takes minutes."""
        uv = shutil.which("uv")
        if uv is None:
            sys.exit("bench-peers: needs uv on PATH; make bench-peers puts it there")
        command = [uv, "pip", "install", "--quiet", "--python", str(self.python), *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"bench-peers: {self.name}: {done.stderr.strip().rpartition(chr(10))[2]}")


PEERS = (
    Peer(
        "edgefer",
        ADAPTERS / "ours.py",
        "edgefer",
        requires=("--constraint", "constraints.txt", ".[device]"),
        without=("--requirement", "device/assets.txt"),
        changes=True,
    ),
    Peer(
        "fer, TFLite",
        ADAPTERS / "with_fer.py",
        "fer",
        # It imports pkg_resources, which setuptools 81 no longer has.
        requires=("fer==25.10.3", "setuptools<81"),
    ),
    Peer(
        "fer, Haar + mini_XCEPTION in Keras",
        ADAPTERS / "with_fer.py",
        "fer",
        requires=("fer==25.10.3", "setuptools<81"),
        options={"use_tflite": False},
    ),
    Peer("facex", ADAPTERS / "with_facex.py", "facex", requires=("facex==1.1.0",)),
)
"""Ours first; packages whose weights come with them from PyPI."""


class Process:
    """A peer that runs and answers."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        command = [peer.python, HERE / "driver.py", peer.adapter, json.dumps(peer.options)]
        CACHE.mkdir(parents=True, exist_ok=True)
        self._log = TemporaryFile("w+")  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            # Some read their settings from the working folder.
            cwd=CACHE,
        )

    def ask(self, what: str, **how: Any) -> dict[str, Any]:
        """Return the answer to a question; end with the peer's last words where none comes."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"what": what, **how}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._log.seek(0)
            last = self._log.read().strip().rpartition("\n")[2]
            sys.exit(f"bench-peers: {self.peer.name}: {last or 'ended without a word'}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()
