"""The networks, by name: each maps grey pictures to features that heads read."""

from edgefer_train.architectures.blocks import Tensor
from edgefer_train.architectures.heads import one_head, unwrapped
from edgefer_train.architectures.registry import ARCHITECTURES, Architecture, build
from edgefer_train.architectures.size import macs, parameters
from edgefer_train.architectures.table import (
    Description,
    describe_architectures,
    show_architectures,
)

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Description",
    "Tensor",
    "build",
    "describe_architectures",
    "macs",
    "one_head",
    "parameters",
    "show_architectures",
    "unwrapped",
]
