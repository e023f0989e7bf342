"""The agent on a device as this machine sees it: installed, commanded and followed over SSH."""

from __future__ import annotations

import contextlib
import getpass
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgefer.errors import CommandFailed, EdgeferError, HostRefused
from edgefer.files import to_zip
from edgefer_device.deploy.agent.layout import HOME
from edgefer_device.deploy.agent.messages import Message, Outcome, Releases, from_json
from edgefer_device.deploy.connection import Remote, Report

SOURCE = Path(__file__).parent / "agent"
PLACE = f"{HOME}/release.pyz"
ENTRY = "import sys\nfrom agent.main import main\nsys.exit(main())\n"


def packed() -> bytes:
    """Return the agent as one file (zipapp): the same bytes for the same sources."""
    sources = {f"agent/{source.name}": source.read_bytes() for source in SOURCE.glob("*.py")}
    return to_zip({"__main__.py": ENTRY.encode(), **sources})


class Agent:
    """The agent of one device; every method raises `CommandFailed` with the agent's refusal."""

    def __init__(self, remote: Remote, host: str) -> None:
        self._remote, self._host = remote, host

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Install the agent and hold the deployment's lock, which ends with the connection."""
        self._remote.send(packed(), PLACE, 0o755)
        self._run(["lock", f"{getpass.getuser()}@{socket.gethostname()}"], "taking the lock")
        try:
            yield
        finally:
            with contextlib.suppress(EdgeferError):
                self._run(["unlock"], "releasing the lock")

    def start(self, token: str) -> None:
        """Start the staged switch."""
        self._run(["start", token], "starting the switch")

    def start_rollback(self, token: str, release: str | None, watch: float) -> None:
        """Start a switch back to a release, or to the previous one."""
        words = ["start", token, "--back", release or "-", "--watch", str(watch)]
        self._run(words, "starting the rollback")

    def wait(self, token: str, report: Report) -> Outcome:
        """Follow a switch to its end."""
        action = "following the switch"
        return parsed(Outcome, self._run(["wait", token], action, without_json(report)), action)

    def releases(self) -> Releases:
        """Return the device's releases; raise `HostRefused` where nothing was deployed."""
        self.require()
        action = "listing its releases"
        return parsed(Releases, self._run(["list"], action), action)

    def prune(self) -> None:
        """Remove old releases."""
        self._run(["prune"], "removing old releases")

    def require(self) -> None:
        """Raise `HostRefused` where the agent is not installed."""
        try:
            self._remote.run(f"[ -f {PLACE} ]", "looking for edgefer")
        except CommandFailed:
            text = f"{self._host}: nothing was deployed there; see: edgefer deploy --help"
            raise HostRefused(text) from None

    def _run(self, words: list[str], action: str, report: Report | None = None) -> str:
        return self._remote.run(f"/usr/bin/python3 -I {PLACE} {shlex.join(words)}", action, report)


def without_json(report: Report) -> Report:
    """Return a reporter of all lines but the JSON at the end."""
    return lambda line: None if line.startswith("{") else report(line)


def parsed(kind: type[Message], output: str, action: str) -> Message:
    """Return the message in the last line of a command's output; raise `CommandFailed`."""
    try:
        return from_json(kind, last_line(output))
    except ValueError as exc:
        raise CommandFailed(f"{action}: expected JSON of edgefer's agent: {exc}", 1) from exc


def last_line(output: str) -> str:
    """Return the last line of a command's output, empty where it printed none."""
    return next(reversed(output.strip().splitlines()), "")
