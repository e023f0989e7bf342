"""The colours of the moods can be told apart, by the colour-blind too."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from edgefer.labels import FERPLUS, UNKNOWN
from edgefer_device.sinks.history import plot
from support.page_colours import colours

LEAST = {"dark": 10.0, "light": 8.0}
"""By ground, CIE76; below 2.3 nobody sees a difference (Mahy et al. 1994)."""
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip
"""Of linear sRGB (IEC 61966-2-1)."""
SIGHT = {
    "usual": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip
"""Full deficiency, on linear sRGB: Machado, Oliveira and Fernandes, IEEE TVCG 15 (2009)."""


def darkened(colour: np.ndarray) -> np.ndarray:
    """Return a colour on a light ground, as `darken` of moods.js."""
    return np.asarray((colour - 0.75 * colour.min()) * 184 / colour.max())


def lab(colour: np.ndarray, sight: np.ndarray) -> np.ndarray:
    """Return CIELAB (D65) of a colour as somebody sees it."""
    share = colour / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(sight @ linear, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_the_historys_plot_has_the_pages_colours() -> None:
    assert {mood: [*rgb] for mood, rgb in colours().items()} == {
        mood: [*rgb] for mood, rgb in plot.COLOURS.items()
    }
    for rgb in plot.COLOURS.values():
        assert np.allclose(plot.darkened(rgb), darkened(np.array(rgb, float)), atol=0.5)


def test_every_mood_has_a_colour() -> None:
    assert {*FERPLUS, UNKNOWN} == {*colours()}


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("ground", ["dark", "light"])
def test_no_two_moods_look_alike(sight: str, ground: str) -> None:
    shades = colours()
    if ground == "light":
        shades = {mood: darkened(shade) for mood, shade in shades.items()}
    seen = {mood: lab(shade, SIGHT[sight]) for mood, shade in shades.items()}
    near = [
        (one, other, round(float(np.linalg.norm(seen[one] - seen[other])), 1))
        for one, other in combinations(seen, 2)
        if np.linalg.norm(seen[one] - seen[other]) < LEAST[ground]
    ]
    assert near == []
