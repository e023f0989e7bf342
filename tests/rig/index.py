"""A container with a way out, to the package index and the mirror of Debian's of this machine."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from rig.container import Device, booted
from rig.root import Root

OVER_HTTP = ("index-url", "extra-index-url", "trusted-host", "proxy")
"""Of pip's settings, those that tell how an index is reached; folders of this machine do not."""


@contextmanager
def online(layers: Sequence[Path], probe: Path, system: Root | None = None) -> Iterator[Device]:
    """Boot one over layers whose pip knows the index that this machine's does.

    Skips where pip reaches none from here; `probe` is a folder for what it fetches to try that.
    """
    settings = index_settings()
    require_index(settings, probe)
    text = "".join(f"{key} = {value}\n" for key, value in settings.items())
    with booted((system or Root()).built(), [*layers], online=True) as device:
        (device.files / "etc/pip.conf").write_text(f"[global]\n{text}")
        yield device


def index_settings() -> dict[str, str]:
    """How pip of this machine reaches its index, with an address each; none is pip's default."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    settings: dict[str, str] = {}
    for key, text in re.findall(r"^[\w:]+\.([\w-]+)='(.*)'$", said, re.MULTILINE):
        reachable = [word for word in text.split() if "file:" not in word]
        if key in OVER_HTTP and reachable:
            settings[key] = " ".join(reachable)
        elif key == "cert" and text.startswith("/etc/ssl/certs/"):
            settings[key] = text  # which a container shares with this machine
    return settings


def require_index(settings: Mapping[str, str], folder: Path) -> None:
    """Skip where pip can fetch nothing over the network with these settings."""
    words = [word for key, value in settings.items() for word in (f"--{key}", value)]
    command = [sys.executable, "-m", "pip", "--isolated", "download", "--no-cache-dir"]
    command += ["--no-deps", "--dest", str(folder), *words, "pip==26.3"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        pytest.skip(f"pip of this machine reaches no package index: {last}")
