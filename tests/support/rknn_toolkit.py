"""A double of rknn-toolkit2, for whoever has no environment of 2 GB with the real one.

It prints and fails as version 2.5.0 did when tests/rig/rig_rknn.py ran it, and its
simulator classifies by onnxruntime, in float.
"""

from __future__ import annotations

import stat
import sys
from pathlib import Path

API = """
import onnxruntime

class RKNN:
    def __init__(self, verbose=False):
        print("I rknn-toolkit2 version: 2.5.0")

    def config(self, target_platform):
        self.platform = target_platform
        return 0

    def load_onnx(self, model):
        try:
            self.session = onnxruntime.InferenceSession(model)
        except Exception as exc:
            print("E load_onnx: Load the ONNX model failed!")
            return -1
        return 0

    def build(self, do_quantization, dataset):
        assert do_quantization
        self.faces = open(dataset).read().split()
        return 0

    def export_rknn(self, path):
        with open(path, "wb") as file:
            file.write(f"RKNN {self.platform} {len(self.faces)}".encode())
        return 0

    def init_runtime(self):
        return 0

    def inference(self, inputs, data_format):
        name = self.session.get_inputs()[0].name
        return self.session.run(None, {name: inputs[0]})
"""


def write_python(folder: Path) -> Path:
    """Write a Python, of this environment, that has the double; return its path."""
    package = folder / "site" / "rknn"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "api.py").write_text(API)
    program = folder / "python"
    # Isolated as it is called, it would see neither PYTHONPATH nor the double.
    start = f"import runpy, sys; sys.path.insert(0, '{package.parent}'); sys.argv = sys.argv[1:]; "
    program.write_text(
        f'#!/bin/sh\nshift\nexec {sys.executable} -c "{start}'
        'runpy.run_path(sys.argv[0], run_name=\'__main__\')" "$@"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program
