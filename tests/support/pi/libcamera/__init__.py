"""What edgefer uses of libcamera's Python binding, version 0.4."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from types import SimpleNamespace


@dataclass
class Transform:
    hflip: bool = False
    vflip: bool = False


class AfModeEnum(IntEnum):
    Manual = 0
    Auto = 1
    Continuous = 2


controls = SimpleNamespace(AfModeEnum=AfModeEnum)
