"""What the daemon leans on beside its camera: brokers, and folders that it writes to."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgefer.errors import SettingsError
from edgefer_device.doctor.check import user
from edgefer_device.system.check import Check, fail, ok, warn

if TYPE_CHECKING:
    from edgefer_device.sinks.mqtt.settings import MqttSettings

SECONDS = 3.0
"""How long a broker may take to answer."""
SPARE_MB = 100
"""Free space under which a disk counts as nearly full."""


def check_broker(uri: str, settings: MqttSettings | None = None) -> Check:
    """A broker answers and lets us in; nothing is published there."""
    try:
        import aiomqtt

        from edgefer_device.sinks.mqtt.broker import parse_broker
        from edgefer_device.sinks.mqtt.connection import connection, refusal

        broker = parse_broker(uri, settings)
    except SettingsError as exc:
        return fail("broker", str(exc), "mend the address")
    except ImportError as exc:
        return fail("broker", f"{exc.name} is missing", "run: pip install 'edgefer[device]'")

    async def greet() -> None:
        async with connection(broker, timeout=SECONDS):
            """Being let in is all."""

    try:
        asyncio.run(greet())
    except aiomqtt.MqttError as exc:
        advice = "start it, or check host, port, user and password"
        return fail("broker", f"{broker.name} {refusal(exc)}", advice)
    return ok("broker", f"{broker.name} lets us in")


def check_state(chosen: str | None) -> Check:
    """The state folder can be written."""
    from edgefer_device.system.paths import state_folder

    return writable("state", state_folder(chosen))


def writable(what: str, folder: Path) -> Check:
    """A folder, or the nearest above it that is there, can be written and has room."""
    above = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    advice = f"run: sudo chown {user()} {above}; or name another folder"
    if not above.is_dir():
        return fail(what, f"{above} is no folder", "name another folder")
    try:
        with tempfile.TemporaryFile(dir=above) as file:
            file.write(b"edgefer")
            file.flush()
    except OSError as exc:
        return fail(what, f"{folder} cannot be written: {exc.strerror}", advice)
    free = shutil.disk_usage(above).free // 10**6
    found = f"{folder} can be written, {free:,} MB free"
    if free < SPARE_MB:
        return warn(what, found, f"make room: {SPARE_MB} MB at least")
    return ok(what, found)
