"""Wheels of edgefer, and a model, that are broken on purpose."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

import msgspec

from edgefer.bundle import describe, open_bundle, write_bundle

READY = '        self._send("READY=1")\n'
FALL = """
        import os, threading

        falling = threading.Timer({seconds}, os._exit, [3])
        falling.daemon = True
        falling.start()
"""


def unimportable(wheel: Path, folder: Path) -> Path:
    """Copy a wheel; what comes of it cannot even be imported."""
    return altered(wheel, folder, "edgefer/cli.py", "import click\n", "import clack\n")


def telling_its_user(wheel: Path, folder: Path) -> Path:
    """Copy a wheel; its doctor ends with the number of the user that it runs as."""
    first = "    config = _load(path)\n"
    telling = first + '    import os\n\n    raise SystemExit(f"as user {os.geteuid()}")\n'
    return altered(wheel, folder, "edgefer_device/doctor/diagnosis.py", first, telling)


def dying(wheel: Path, folder: Path, seconds: float) -> Path:
    """Copy a wheel; its daemon falls so many seconds after it has said that it is ready."""
    falling = READY + FALL.format(seconds=seconds)
    return altered(wheel, folder, "edgefer_device/daemon/systemd.py", READY, falling)


def no_model(folder: Path) -> Path:
    """Write a model bundle whose hashes are right, and whose bytes are no model."""
    bundle = open_bundle("small")
    torn = bundle.contents["int8"][:9000]
    files = dict(bundle.manifest.files)
    files["int8"] = describe(files["int8"].path, torn, files["int8"].target)
    manifest = msgspec.structs.replace(bundle.manifest, files=files)
    write_bundle(folder / "torn", manifest, {**bundle.contents, "int8": torn})
    return folder / "torn"


def altered(wheel: Path, folder: Path, file: str, old: str, new: str) -> Path:
    """Copy a wheel with one text in one of its files replaced; pip takes it for a good one."""
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / wheel.name
    with (
        zipfile.ZipFile(wheel) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        text = source.read(file).decode()
        assert old in text
        content = text.replace(old, new).encode()
        for name in source.namelist():
            held = content if name == file else source.read(name)
            if name.endswith(".dist-info/RECORD"):
                held = _recorded(held.decode(), file, content).encode()
            target.writestr(name, held)
    return out


def _recorded(record: str, file: str, content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    line = f"{file},sha256={digest},{len(content)}"
    lines = record.splitlines(keepends=True)
    return "".join(f"{line}\n" if one.startswith(f"{file},") else one for one in lines)
