"""The files outside of a release that a device is to have, as `common/install` puts them there."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch

from edgefer.errors import DeployError
from edgefer.text_files import read_text
from edgefer_device.deploy.artifacts import firmware_config
from edgefer_device.deploy.connection import Remote

SETTINGS, DEPLOYED = "/etc/edgefer/edgefer.toml", "/etc/edgefer/deployed.toml"
GUARD = "/etc/systemd/system/edgefer-release.service"
"""What undoes a switch at boot: it is there before the first one."""
BOOT = "/boot/firmware/"
CONFIG_TXT = f"{BOOT}config.txt"
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
    """Return what `common/install` would put on a device that has some files already."""
    folder = firmware_config()
    asked = {"always": True, "kiosk": kiosk, "broker": broker}
    found: Files = {}
    for line in read_text(folder / "files.txt").splitlines():
        if not line or line.startswith("#"):
            continue
        when, file, place, mode = f"{line} 644".split()[:4]
        if asked.get(when, fnmatch(target, when)):
            found[place] = Placed((folder / file).read_bytes(), int(mode, 8))
    fragments = [place.rpartition("/")[2] for place in found if place.startswith(BOOT)]
    if fragments:
        if CONFIG_TXT not in there:
            raise DeployError(f"{CONFIG_TXT} is missing: is this a Raspberry Pi's card?")
        config = there[CONFIG_TXT]
        found[CONFIG_TXT] = Placed(_including(config.content, fragments), config.mode)
    return found


def _including(config: bytes, fragments: Iterable[str]) -> bytes:
    for name in fragments:
        line = f"include {name}".encode()
        if line not in config.splitlines():
            config += b"\n[all]\n" + line + b"\n"
    return config
