from __future__ import annotations

import pytest

from edgefer.errors import ConversionError
from edgefer.runtime import Tensor
from edgefer_convert.tflite import require_integer


def tensor(name: str, dtype: str) -> Tensor:
    return Tensor(name, dtype, (1,), 1.0, 0)


def test_integers_pass() -> None:
    require_integer([tensor("weights", "int8"), tensor("bias", "int32")])


def test_a_float_tensor_is_refused_by_its_name() -> None:
    with pytest.raises(ConversionError, match=r"1 tensors are not int8 .* first 'island'"):
        require_integer([tensor("weights", "int8"), tensor("island", "float32")])
