"""What the running daemon writes, starts and connects to, by its system calls (strace)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.mosquitto import Mosquitto, free_port

SECONDS = 120.0
WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
DEVICES = {"/dev/null", "/dev/urandom", "/dev/tty"}
RESOLVER = "/var/run/nscd/socket"
"""The name service cache, which the C library uses where it runs."""
STRACE = shutil.which("strace")


class Trace:
    """The system calls of one run, all its threads and children."""

    def __init__(self, text: str, folder: Path) -> None:
        self._folder = folder
        # A call that another thread interrupted stands in two lines; the first has what we want.
        self._calls = [line.split(" ", 1)[1].strip() for line in text.splitlines() if " " in line]

    def __len__(self) -> int:
        return len(self._calls)

    def of(self, *names: str) -> list[str]:
        return [call for call in self._calls if call.split("(", 1)[0] in names]

    @property
    def written(self) -> set[str]:
        """Every file that was opened to be written, made, moved or removed."""
        found = set()
        for call in self.of("open", "openat", "creat"):
            if (WRITING.search(call) or call.startswith("creat")) and " = -1 " not in call:
                found.add(self._path(call))
        for call in self.of("mkdir", "rename", "renameat", "renameat2", "unlink", "unlinkat"):
            if " = -1 " not in call:
                found |= set(re.findall(r'"([^"]+)"', call))
        return {path for path in found if path not in DEVICES}

    @property
    def reached(self) -> set[str]:
        """Every address that was connected to: `IP:PORT`, or a path."""
        found = set()
        for call in self.of("connect", "sendto", "sendmsg"):
            internet = re.search(r'sin6?_port=htons\((\d+)\).*?"([0-9a-f.:]+)"', call)
            local = re.search(r'sun_path=@?"([^"]+)"', call)
            if internet:
                found.add(f"{internet[2]}:{internet[1]}")
            elif local:
                found.add(local[1])
        return found - {RESOLVER}

    @property
    def started(self) -> list[str]:
        """The programs that were started after the first."""
        return [call for call in self.of("execve", "execveat") if " = 0" in call][1:]

    def _path(self, call: str) -> str:
        match = re.search(r'"([^"]*)"', call)
        assert match is not None, call
        return match[1]


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_it_writes_to_its_state_folder_and_connects_to_what_is_configured_alone(
    tmp_path: Path, broker: Mosquitto
) -> None:
    state, config, out = tmp_path / "state", tmp_path / "edgefer.toml", tmp_path / "trace"
    sinks = [
        "mirror:127.0.0.1:0",
        f"mqtt://127.0.0.1:{broker.port}/home",
        f"jsonl:{state / 'moods.jsonl'}?max_mb=1",
        f"webhook:http://127.0.0.1:{(closed := free_port())}/hook",
    ]
    config.write_text(
        f'camera = "demo:"\nstate = "{state}"\nsinks = {sinks}\n[history]\nkeep_days = 90\n'
    )
    calls = "open,openat,creat,mkdir,rename,renameat,renameat2,unlink,unlinkat,connect,sendto"
    words = [str(STRACE), "-f", "-qq", "-s", "300", "-o", str(out), "--seccomp-bpf"]
    words += ["-e", f"trace={calls},sendmsg,execve,execveat"]
    words += [sys.executable, "-m", "edgefer.cli", "run", "--config", str(config), "--seconds", "3"]
    environment = {
        "PYTHONPATH": ":".join(sys.path),
        "PATH": os.environ["PATH"],
        # A service cannot write beside its own code (ProtectSystem=strict).
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(tmp_path / "home"),
    }
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if "ptrace" in done.stderr:
        pytest.skip(f"strace may not look here: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    trace = Trace(out.read_text(), tmp_path)
    assert len(trace) > 200
    outside = {path for path in trace.written if not path.startswith((str(state), "/proc/self/"))}
    assert outside == set()
    assert {"history.sqlite", "moods.jsonl"} <= {Path(path).name for path in trace.written}
    assert {Path(path).name for path in trace.written if path.startswith("/proc/self/")} <= {
        "control.sock"
    }
    control = {path for path in trace.reached if path.endswith("/control.sock")}
    assert trace.reached - control == {f"127.0.0.1:{broker.port}", f"127.0.0.1:{closed}"}
    assert trace.started == []
    images = [path for path in state.rglob("*") if path.suffix in (".jpg", ".png", ".npy")]
    assert images == []
