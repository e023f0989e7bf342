"""A double of a board with Rockchip's NPU: `rknnlite.api` as rknn-toolkit-lite2 2.5.0 has it.

What it prints is what boards printed in the issues of airockchip/rknn-toolkit2 (212, 281, 454). Its
NPU computes nothing: it returns the logits that `RKNN_LOGITS` names, or fails at the step that
`RKNN_FAILS` names.
"""

from __future__ import annotations

from pathlib import Path

API = '''
import json, os
import numpy as np

HEAD = """\\
W rknn-toolkit-lite2 version: 2.5.0
I RKNN: [14:34:00.921] RKNN Runtime Information: librknnrt version: 1.4.0 (a10f100eb@2022-09-09)
I RKNN: [14:34:00.922] RKNN Driver Information: version: 0.9.8"""
FAILURES = {
    "version": HEAD + """
E RKNN: [14:34:00.922] 6, 1
E RKNN: [14:34:00.922] Invalid RKNN model version 6
E RKNN: [14:34:00.922] rknn_init, load model failed!
E Catch exception when init runtime!""",
    "driver": """\\
E RKNN: [03:28:11.710] failed to open rknpu module, need to insmod rknpu dirver!
E RKNN: [03:28:11.711] failed to open rknn device!
E Catch exception when init runtime!""",
    "silent": "",
}


class RKNNLite:
    def load_rknn(self, path):
        self.content = open(path, "rb").read()
        return 0

    def init_runtime(self):
        fails = os.environ.get("RKNN_FAILS")
        # The C library writes past Python's own streams.
        os.write(1, (FAILURES[fails] if fails in FAILURES else HEAD).encode())
        return -1 if fails in FAILURES else 0

    def inference(self, inputs, data_format):
        assert data_format == "nchw"
        (image,) = inputs
        assert image.dtype == np.float32 and image.shape == (1, 48, 48, 1)
        if os.environ.get("RKNN_FAILS") == "run":
            os.write(2, b"E RKNN: [14:34:00.922] failed to submit!, op id: 1\\\\n")
            return None
        return [np.array([row], np.float32) for row in json.loads(os.environ["RKNN_LOGITS"])]
'''


def write_library(folder: Path) -> Path:
    """Write the library; return the folder for PYTHONPATH."""
    package = folder / "rknnlite"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "api.py").write_text(API)
    return folder
