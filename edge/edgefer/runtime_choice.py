"""Which of a bundle's files a device runs, named by its runtime or by its format."""

from __future__ import annotations

from edgefer.bundle import Bundle
from edgefer.errors import BundleError, SettingsError
from edgefer.runtime import first_format

FORMATS = {
    "litert": ("int8", "float16", "mobile"),
    "onnxruntime": ("onnx-int8", "onnx", "onnx-symmetric"),
}
"""By runtime of a device: the formats that it runs, what it should rather run first."""


def runtime_of(format: str) -> str:
    """Return the runtime of a format; raise `SettingsError` for one that no device runs."""
    for runtime, formats in FORMATS.items():
        if format in formats:
            return runtime
    raise SettingsError(f"unknown runtime '{format}'; known: {', '.join(known())}")


def known() -> list[str]:
    """Return every name that `format_of` takes."""
    return [*FORMATS, *(format for formats in FORMATS.values() for format in formats)]


def format_of(bundle: Bundle, name: str | None = None) -> str:
    """Return the format that a runtime's name, or a format's own, means in a bundle.

    Without a name it is the first that a device should run. Raises `SettingsError` for an
    unknown name and `BundleError` for a bundle that has no file for it.
    """
    if name is None:
        return first_format(bundle.manifest.files) or "int8"
    wanted = FORMATS.get(name) or (name,)
    runtime_of(wanted[0])
    found = next((format for format in wanted if format in bundle.manifest.files), None)
    if found is None:
        have = [format for format in known() if format in bundle.manifest.files]
        raise BundleError(
            f"{bundle.path}: has no file for the runtime '{name}' ({', '.join(wanted)}); "
            f"it has: {', '.join(have) or 'none that a device runs'}"
        )
    return found
