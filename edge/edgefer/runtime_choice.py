"""What runs a bundle's model on a device, named by a runtime or by a format of the bundle."""

from __future__ import annotations

from edgefer.bundle import Bundle
from edgefer.errors import BundleError, SettingsError
from edgefer.runtime import ACCELERATORS, first_format

FORMATS = {
    "litert": ("int8", "float16", "mobile"),
    "onnxruntime": ("onnx-int8", "onnx", "onnx-symmetric"),
    **{name: accelerator.formats for name, accelerator in ACCELERATORS.items()},
}
"""By runtime of a device: the formats that it runs, what it should rather run first."""


def runtime_of(name: str) -> str:
    """Return the runtime of a format, by itself that of the processor, or of a runtime's name.

    Raises `SettingsError` for a name that no device runs.
    """
    if name in FORMATS:
        return name
    for runtime, formats in FORMATS.items():
        if name in formats:
            return runtime
    raise SettingsError(f"unknown runtime '{name}'; known: {', '.join(known())}")


def known() -> list[str]:
    """Return every name that `chosen` takes."""
    formats = (format for formats in FORMATS.values() for format in formats)
    return list(dict.fromkeys((*FORMATS, *formats)))


def chosen(bundle: Bundle, name: str | None = None) -> str:
    """Return what `open_classifier` takes for a runtime's name, or a format's own: the format,
    or an accelerator's name.

    Without a name it is the first that a device should run. Raises `SettingsError` for an
    unknown name and `BundleError` for a bundle that has no file for it.
    """
    if name is None:
        return first_format(bundle.manifest.files) or "int8"
    runtime_of(name)
    wanted = FORMATS.get(name) or (name,)
    found = next((format for format in wanted if format in bundle.manifest.files), None)
    if found is None:
        have = [format for format in known() if format in bundle.manifest.files]
        raise BundleError(
            f"{bundle.path}: has no file for the runtime '{name}' ({', '.join(wanted)}); "
            f"it has: {', '.join(have) or 'none that a device runs'}"
        )
    return name if name in ACCELERATORS else found
