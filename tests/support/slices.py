"""Small slices of the real FER2013, for trainings that take seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_slice(data: Path, out: Path, training: int, public: int, private: int) -> Path:
    """Write the first images of each part as an .npz of the same form; return its path."""
    with (data / "fer2013.npz").open("rb") as file, np.load(file) as arrays:
        usage = arrays["usage"]
        sizes = enumerate((training, public, private))
        rows = np.concatenate([np.flatnonzero(usage == part)[:size] for part, size in sizes])
        per_row = [name for name in arrays.files if len(arrays[name]) == len(usage)]
        np.savez(out, **{name: arrays[name][rows] for name in per_row})
    return out
