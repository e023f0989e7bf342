"""Checks of what the daemon connects and writes to: brokers and folders."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgefer.errors import HistoryError, SettingsError
from edgefer_device.system.check import Check, Level, current_user, fail, ok, warn

if TYPE_CHECKING:
    from edgefer_device.sinks.mqtt.broker import MqttSettings

SECONDS = 3.0
"""Timeout of a broker."""
SPARE_MB = 100
"""Free space under which a disk counts as nearly full."""


def check_broker(uri: str, settings: MqttSettings | None = None) -> Check:
    """Check that a broker accepts the connection; nothing is published."""
    try:
        import aiomqtt

        from edgefer_device.sinks.mqtt.broker import MqttSettings, parse_broker, risks
        from edgefer_device.sinks.mqtt.connection import connection, refusal

        broker = parse_broker(uri, settings)
    except SettingsError as exc:
        return fail("broker", str(exc), "fix the address")
    except ImportError as exc:
        return fail("broker", f"{exc.name} is missing", "run: pip install 'edgefer[device]'")

    async def connect() -> None:
        async with connection(broker, timeout=SECONDS):
            """Nothing but the connection is checked."""

    try:
        asyncio.run(connect())
    except aiomqtt.MqttError as exc:
        advice = "start it, or check host, port, user and password"
        return fail("broker", f"{broker.name} {refusal(exc)}", advice)
    found = f"{broker.name} accepts the connection"
    for risk in risks(broker, settings or MqttSettings()):
        problem, _, advice = risk.partition("; ")
        return warn("broker", f"{found}, but {problem}", advice)
    return ok("broker", found)


def check_state(configured: str | None) -> Check:
    """Check that the state folder is writable and on a disk."""
    from edgefer_device.system.paths import state_folder, volatility

    folder = state_folder(configured)
    check, found = check_writable("state", folder), volatility(folder)
    if check.level is not Level.ok or found is None:
        return check
    problem, _, advice = found.partition("; ")
    return warn("state", problem, advice)


def check_history(configured: str | None) -> Check:
    """Check that the history, where there is one, can be read."""
    from edgefer_device.sinks.history import FILE
    from edgefer_device.sinks.history.store import HistoryStore
    from edgefer_device.system.paths import state_folder

    store = HistoryStore(state_folder(configured) / FILE)
    if not store.path.exists():
        return ok("history", "none is kept yet")
    try:
        store.check()
    except HistoryError as exc:
        damaged = store.is_damaged(exc.__cause__)
        advice = "edgefer history --delete removes it" if damaged else "move the file away"
        return fail("history", str(exc), advice)
    return ok("history", f"{store.path} is whole")


def check_writable(what: str, folder: Path) -> Check:
    """Check that a folder, or its nearest existing parent, is writable and has space."""
    above = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    advice = f"run: sudo chown {current_user()} {above}; or name another folder"
    if not above.is_dir():
        return fail(what, f"{above} is not a folder", "name another folder")
    try:
        with tempfile.TemporaryFile(dir=above) as file:
            file.write(b"edgefer")
            file.flush()
    except OSError as exc:
        return fail(what, f"{folder} is not writable: {exc.strerror}", advice)
    free = shutil.disk_usage(above).free // 10**6
    found = f"{folder} is writable, {free:,} MB free"
    if free < SPARE_MB:
        return warn(what, found, f"free at least {SPARE_MB} MB")
    return ok(what, found)
