"""What a deployment sends beside models: edgefer's own wheel, its pins, settings for devices.

In a checkout the wheel is built. An installed edgefer has the rest inside (`force-include` in
pyproject.toml), but no wheel any more: it has to be given.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgefer.errors import DeployError, MissingExtra, SettingsError
from edgefer_device.deploy.wheels import Pins, Python, read_pins

PACKAGE = Path(__file__).parents[1]
CHECKOUT = PACKAGE.parents[1]
ONNX = re.compile(r"onnxruntime(_gpu)?-[^-]+-\w+-\w+-[\w.]+\.whl")
"""What a wheel of onnxruntime's is called, with its Python and machine (PEP 427)."""


def is_checkout() -> bool:
    """Whether this is edgefer's source."""
    return (CHECKOUT / "pyproject.toml").is_file() and (CHECKOUT / "firmware-config").is_dir()


def firmware_config() -> Path:
    """Return the folder of settings for devices."""
    return (CHECKOUT if is_checkout() else PACKAGE) / "firmware-config"


def pins(python: Python, runtime: bool, named: bool, assets: Iterable[str]) -> Pins:
    """Return what a release stands on for a Python; pip is sent along, Debian's python3 has none.

    With `runtime` onnxruntime too, or where a wheel of it is `named` only what that needs.
    """
    place = (CHECKOUT / "device" if is_checkout() else PACKAGE / "deploy") / "pins"
    base, onnx, data = (
        read_pins((place / f"{name}.txt").read_text(), python)
        for name in ("base", "onnx", "assets")
    )
    pip = base.pop("pip")
    if runtime or named:
        base |= onnx
    if named:
        base.pop("onnxruntime", None)  # a marker may leave it out
    return Pins(python, pip, tuple(base.values()), tuple(data[name] for name in assets))


def named_wheels(named: Sequence[Path]) -> tuple[Path | None, Path | None]:
    """Return edgefer's own wheel and one of onnxruntime, as far as they are among those named.

    Raises `SettingsError` for any other.
    """
    own, onnx = None, None
    for wheel in named:
        is_wheel = wheel.suffix == ".whl" and wheel.is_file()
        if is_wheel and wheel.name.startswith("edgefer-"):
            own = wheel
        elif is_wheel and ONNX.fullmatch(wheel.name):
            onnx = wheel
        else:
            raise SettingsError(
                f"{wheel}: no wheel of edgefer or onnxruntime; expected edgefer-VERSION-...whl "
                "or onnxruntime_gpu-VERSION-...whl"
            )
    return own, onnx


def own_wheel(named: Path | None, folder: Path) -> Path:
    """Return edgefer's wheel: the named one, or one built of this checkout into `folder`.

    Equal sources give equal bytes: hatchling writes no dates.
    """
    if named is not None:
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
        raise DeployError(f"edgefer's wheel cannot be built: {last[-1] if last else 'no output'}")
    return built[-1]
