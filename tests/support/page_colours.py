"""The colours that the mirror page gives each mood."""

from __future__ import annotations

import re

import numpy as np

from edgefer_device.page import SHARED


def colours() -> dict[str, np.ndarray]:
    """Return each mood's colour, as moods.js has it: RGB, 0..255."""
    script = (SHARED / "moods.js").read_text("utf-8")
    found = re.findall(r"(\w+): look\(\[(\d+), (\d+), (\d+)\]", script)
    return {mood: np.array(levels, float) for mood, *levels in found}
