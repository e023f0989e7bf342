"""The networks, by name: each maps grey images to features that heads read."""

from edgefer_train.architectures.blocks import Tensor, as_outputs, one_head
from edgefer_train.architectures.registry import ARCHITECTURES, Architecture, build, require_side
from edgefer_train.architectures.size import (
    Description,
    describe_architectures,
    macs,
    parameters,
    show_architectures,
)

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Description",
    "Tensor",
    "as_outputs",
    "build",
    "describe_architectures",
    "macs",
    "one_head",
    "parameters",
    "require_side",
    "show_architectures",
]
