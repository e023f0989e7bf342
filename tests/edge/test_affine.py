from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefer.affine import Affine

affines = st.builds(Affine, scale=st.floats(1e-4, 10), zero_point=st.integers(-128, 127))


@given(affines)
def test_every_count_survives_the_way_to_a_real_and_back(affine: Affine) -> None:
    counts = np.arange(-128, 128, dtype=np.int8)
    assert (affine.quantize(affine.dequantize(counts)) == counts).all()


@given(affines)
def test_reals_out_of_range_saturate(affine: Affine) -> None:
    assert affine.quantize(np.array([-1e9, 1e9])).tolist() == [-128, 127]


def test_zero_is_exact() -> None:
    affine = Affine(scale=0.37, zero_point=-5)
    assert affine.dequantize(affine.quantize(np.zeros(3))).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("scale", "zero_point"),
    [(0.0, 0), (-1.0, 0), (math.nan, 0), (math.inf, 0), (1.0, 128), (1.0, -129)],
)
def test_an_impossible_map_is_refused(scale: float, zero_point: int) -> None:
    with pytest.raises(ValueError, match="must"):
        Affine(scale=scale, zero_point=zero_point)
