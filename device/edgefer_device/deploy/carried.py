"""What a deployment carries beside models: edgefer's own wheel, its pins, settings for devices.

Run from a checkout they are there, and the wheel is built; an installed edgefer has the rest
inside (`force-include` in pyproject.toml), but is no wheel any more: it has to be named.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgefer.errors import DeployError, MissingExtra, SettingsError

PACKAGE = Path(__file__).parents[1]
CHECKOUT = PACKAGE.parents[1]


def is_checkout() -> bool:
    """Whether this is edgefer's source."""
    return (CHECKOUT / "pyproject.toml").is_file() and (CHECKOUT / "firmware-config").is_dir()


def firmware_config() -> Path:
    """Return the folder of settings for devices."""
    return (CHECKOUT if is_checkout() else PACKAGE) / "firmware-config"


def pins() -> str:
    """Return constraints.txt."""
    place = CHECKOUT if is_checkout() else PACKAGE / "deploy"
    return (place / "constraints.txt").read_text()


def assets() -> str:
    """Return assets.txt: wheels that are used as folders of data."""
    place = CHECKOUT / "device" if is_checkout() else PACKAGE / "deploy"
    return (place / "assets.txt").read_text()


def own_wheel(named: Path | None, folder: Path) -> Path:
    """Return edgefer's wheel: the named one, or one built of this checkout into `folder`.

    Equal sources give equal bytes: hatchling writes no dates.
    """
    if named is not None:
        if not named.name.startswith("edgefer-") or named.suffix != ".whl" or not named.is_file():
            raise SettingsError(f"{named}: no wheel of edgefer; expected edgefer-VERSION-...whl")
        return named
    if not is_checkout():
        raise SettingsError("an installed edgefer has no wheel to send: name one by --wheel FILE")
    try:
        import hatchling  # noqa: F401 - what is looked for is whether it is there
    except ImportError:
        raise MissingExtra("hatchling", "deploy") from None
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=CHECKOUT, check=False, capture_output=True, text=True)
    built = sorted(folder.glob("edgefer-*.whl"))
    if done.returncode or not built:
        last = (done.stderr or done.stdout).strip().splitlines()
        raise DeployError(f"edgefer's wheel cannot be built: {last[-1] if last else 'no word'}")
    return built[-1]
