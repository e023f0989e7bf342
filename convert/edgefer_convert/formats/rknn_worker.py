"""Runs in the Python of rknn-toolkit2, without edgefer: compiles an ONNX file for Rockchip's NPU.

`python rknn_worker.py FOLDER PLATFORM` reads FOLDER/model.onnx, FOLDER/representative.npy and
FOLDER/faces.npy, both float32 (N, side, side, 1) in 0..1; writes FOLDER/model.rknn and, by the
toolkit's simulator, FOLDER/logits.npy: the faces' first output.
"""

import sys
from pathlib import Path

import numpy as np
from rknn.api import RKNN  # type: ignore[import-not-found]  # of another environment


def compile_model(folder: Path, platform: str) -> None:
    """Compile, and classify the faces in the simulator; leave by `SystemExit` at a failure."""
    toolkit = RKNN(verbose=False)
    _require(toolkit.config(target_platform=platform), "the configuration")
    _require(toolkit.load_onnx(str(folder / "model.onnx")), "the ONNX file")
    listed = _write_dataset(folder)
    _require(toolkit.build(do_quantization=True, dataset=str(listed)), "the build")
    _require(toolkit.export_rknn(str(folder / "model.rknn")), "the export")
    _require(toolkit.init_runtime(), "the simulator")
    faces = np.load(folder / "faces.npy")
    # The model takes (1, side, side, 1) as it is: by its own layout of axes, NCHW by name.
    rows = [toolkit.inference([face[np.newaxis]], data_format="nchw")[0] for face in faces]
    np.save(folder / "logits.npy", np.concatenate(rows))


def _write_dataset(folder: Path) -> Path:
    """Write the representative faces as the toolkit wants them: a file each, and their list."""
    paths = []
    for index, face in enumerate(np.load(folder / "representative.npy")):
        paths.append(folder / f"representative-{index}.npy")
        np.save(paths[-1], face[np.newaxis])
    listed = folder / "representative.txt"
    listed.write_text("\n".join(map(str, paths)))
    return listed


def _require(status: int, step: str) -> None:
    if status != 0:
        raise SystemExit(f"rknn-toolkit2 refused {step}")


if __name__ == "__main__":
    compile_model(Path(sys.argv[1]), sys.argv[2])
