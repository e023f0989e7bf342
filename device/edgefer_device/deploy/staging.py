"""The files outside of a release that a device is to have, made here by `common/install`."""

from __future__ import annotations

import base64
import hashlib
import shlex
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgefer.errors import DeployError
from edgefer_device.deploy.artifacts import firmware_config
from edgefer_device.deploy.connection import Remote

SETTINGS, DEPLOYED = "/etc/edgefer/edgefer.toml", "/etc/edgefer/deployed.toml"
GUARD = "/etc/systemd/system/edgefer-release.service"
"""What undoes a switch at boot: it is there before the first one."""
CONFIG_TXT = "/boot/firmware/config.txt"
SECRETS = ("/etc/edgefer/mqtt-password", "/etc/mosquitto/edgefer.passwd")
"""Made on the device by `common/install`, and never seen elsewhere."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A file of a device."""

    content: bytes
    mode: int

    @property
    def sha256(self) -> str:
        """Of its content."""
        return hashlib.sha256(self.content).hexdigest()


Files = dict[str, Placed]
"""By where they are, from /."""


def read(remote: Remote, paths: Iterable[str]) -> Files:
    """Return those of a device's files that are there."""
    script = (
        'for file in PATHS; do [ -f "$file" ] || continue\n'
        'printf "%s %s " "$file" "$(stat -c %a "$file")"; base64 -w0 "$file"; echo; done'
    )
    output = remote.run(script.replace("PATHS", shlex.join(paths)), "reading its settings")
    found = {}
    for line in output.splitlines():
        path, mode, content = f"{line} ".split(" ")[:3]
        found[path] = Placed(base64.b64decode(content), int(mode, 8))
    return found


def wanted_paths(target: str, kiosk: bool, broker: bool) -> list[str]:
    """Return the paths of all files that `wanted` would make, to be read before."""
    boot = {CONFIG_TXT: Placed(b"", 0o644)} if target.startswith("rpi") else {}
    return sorted({*wanted(target, kiosk, broker, boot), SETTINGS, DEPLOYED, *SECRETS})


def wanted(target: str, kiosk: bool, broker: bool, there: Mapping[str, Placed]) -> Files:
    """Return what `common/install` would make of a device that has some files already."""
    # The settings are merged, the secrets are the device's own: neither is made here.
    skipped = (SETTINGS, *SECRETS)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        seeds = {path: there[path].content for path in (CONFIG_TXT,) if path in there}
        for path, content in (seeds | dict.fromkeys(skipped, b"-")).items():
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        options = ["--kiosk"] * kiosk + ["--broker"] * broker
        install = str(firmware_config() / "common" / "install")
        command = ["sh", install, "--root", folder, *options, target]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise DeployError(done.stderr.strip().removeprefix("install: ").replace(folder, ""))
        made = (path for path in root.rglob("*") if path.is_file())
        found = {
            f"/{path.relative_to(root)}": Placed(path.read_bytes(), path.stat().st_mode & 0o777)
            for path in made
        }
    return {path: file for path, file in found.items() if path not in skipped}
