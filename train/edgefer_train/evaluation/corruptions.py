"""Corruptions of face crops, seeded: fifteen kinds, each in five strengths.

After Hendrycks & Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions
and Perturbations". Of their fifteen kinds those that need colour or photographs of weather (snow,
frost) and glass blur are replaced by what cameras indoors do: speckle noise, darkness, occlusion.
Strengths are for crops of 48x48 pixels, each at its own scale elsewhere. All functions take and
return grey levels uint8 (N, S, S).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgefer.errors import SettingsError
from edgefer.preprocess import Pixels

Values = NDArray[np.float32]
"""float32 (N, S, S) or one face (S, S), grey levels 0..255."""
Rng = np.random.Generator
STRENGTHS = (1, 2, 3, 4, 5)


def gaussian_noise(faces: Values, sigma: float, rng: Rng) -> Values:
    """Add sensor noise of a standard deviation in grey levels."""
    return np.asarray(faces + np.float32(sigma) * noise(faces, rng), np.float32)


def shot_noise(faces: Values, photons: float, rng: Rng) -> Values:
    """Count photons, of which white is so many (Poisson)."""
    return np.asarray(rng.poisson(faces / 255 * photons) / photons * 255, np.float32)


def impulse_noise(faces: Values, share: float, rng: Rng) -> Values:
    """Set a share of the pixels to black or white."""
    drawn = rng.random(faces.shape, np.float32)
    changed = np.where(drawn < share / 2, 0, np.where(drawn > 1 - share / 2, 255, faces))
    return np.asarray(changed, np.float32)


def speckle_noise(faces: Values, share: float, rng: Rng) -> Values:
    """Multiply by noise of a standard deviation that is a share of the grey level."""
    return np.asarray(faces * (1 + np.float32(share) * noise(faces, rng)), np.float32)


def defocus_blur(faces: Values, sigma: float, rng: Rng) -> Values:
    """Blur by a Gaussian of so many pixels."""
    return each(faces, lambda face: np.asarray(cv2.GaussianBlur(face, (0, 0), sigma)))


def motion_blur(faces: Values, length: float, rng: Rng) -> Values:
    """Blur along a line of so many pixels, at an angle of its own for each face."""
    angles = iter(rng.uniform(0, np.pi, len(faces)))
    return each(faces, lambda face: np.asarray(cv2.filter2D(face, -1, line(length, next(angles)))))


def zoom_blur(faces: Values, most: float, rng: Rng) -> Values:
    """Average a face with itself enlarged in steps, by a share of its size at most."""
    factors = np.linspace(1, 1 + most, 6)
    return each(faces, lambda face: np.mean([zoomed(face, factor) for factor in factors], 0))


def low_resolution(faces: Values, share: float, rng: Rng) -> Values:
    """Shrink to a share of the side and enlarge again."""
    side = faces.shape[1]
    small = max(2, round(side * share))

    def resized(face: Values) -> Values:
        shrunk = cv2.resize(face, (small, small), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(shrunk, (side, side), interpolation=cv2.INTER_LINEAR))

    return each(faces, resized)


def jpeg(faces: Values, quality: float, rng: Rng) -> Values:
    """Compress as JPEG of a quality, 1..100, and read it again."""

    def coded(face: Values) -> Values:
        pixels = face.round().clip(0, 255).astype(np.uint8)
        _, content = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
        decoded = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)
        assert decoded is not None
        return decoded.astype(np.float32)

    return each(faces, coded)


def brightness(faces: Values, gain: float, rng: Rng) -> Values:
    """Multiply by a gain; what is beyond white is lost."""
    return np.asarray(faces * np.float32(gain), np.float32)


def darkness(faces: Values, gain: float, rng: Rng) -> Values:
    """Multiply by a gain below 1, and add the noise that a sensor has in the dark."""
    return np.asarray(faces * np.float32(gain) + np.float32(2) * noise(faces, rng), np.float32)


def contrast(faces: Values, share: float, rng: Rng) -> Values:
    """Keep a share of the distance to each face's mean."""
    mean = faces.mean((1, 2), keepdims=True)
    return np.asarray((faces - mean) * np.float32(share) + mean, np.float32)


def fog(faces: Values, share: float, rng: Rng) -> Values:
    """Blend with smooth noise around light grey, as a fogged lens does."""
    side = faces.shape[1]
    coarse = rng.uniform(140, 255, (len(faces), 4, 4)).astype(np.float32)
    haze = np.stack(
        [cv2.resize(one, (side, side), interpolation=cv2.INTER_CUBIC) for one in coarse]
    )
    return np.asarray(faces * np.float32(1 - share) + haze * np.float32(share), np.float32)


def occlusion(faces: Values, share: float, rng: Rng) -> Values:
    """Cover a square of a share of the area by grey, anywhere."""
    side = faces.shape[1]
    hole = round(side * share**0.5)
    covered = faces.copy()
    for face, (top, left) in zip(
        covered, rng.integers(0, side - hole + 1, (len(faces), 2)), strict=True
    ):
        face[top : top + hole, left : left + hole] = 128
    return np.asarray(covered, np.float32)


def elastic(faces: Values, pixels: float, rng: Rng) -> Values:
    """Displace by a smooth random field of so many pixels (Simard et al. 2003)."""
    side = faces.shape[1]
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    field = rng.standard_normal((len(faces), 2, side, side), np.float32)

    def moved(face: Values, noise: Values) -> Values:
        across, down = (cv2.GaussianBlur(one, (0, 0), side / 12) for one in noise)
        scale = pixels / max(float(np.abs(across).max()), float(np.abs(down).max()))
        maps = columns + across * scale, rows + down * scale
        return np.asarray(cv2.remap(face, *maps, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT))

    return np.stack([moved(face, noise) for face, noise in zip(faces, field, strict=True)])


def noise(faces: Values, rng: Rng) -> Values:
    """Draw from the standard normal distribution for each pixel."""
    return np.asarray(rng.standard_normal(faces.shape, np.float32))


def each(faces: Values, change: Callable[[Values], NDArray[Any]]) -> Values:
    """Change one face after the other."""
    return np.stack([np.asarray(change(face), np.float32) for face in faces])


def line(length: float, angle: float) -> Values:
    """Return the kernel of a movement: a line through the middle, weights that sum to 1."""
    size = 2 * int(np.ceil(length / 2)) + 1
    middle = size // 2
    end = np.array([np.cos(angle), np.sin(angle)]) * length / 2 * 16
    kernel = np.zeros((size, size), np.float32)
    start, stop = (tuple(map(int, middle * 16 + sign * end)) for sign in (-1, 1))
    cv2.line(kernel, start, stop, 1.0, 1, cv2.LINE_AA, 4)
    return kernel / max(float(kernel.sum()), 1e-6)


def zoomed(face: Values, factor: float) -> Values:
    """Return a face enlarged about its middle, its size as before."""
    middle = ((face.shape[1] - 1) / 2, (face.shape[0] - 1) / 2)
    turn = cv2.getRotationMatrix2D(middle, 0, factor)
    return np.asarray(cv2.warpAffine(face, turn, face.shape[::-1], flags=cv2.INTER_LINEAR))


@dataclass(frozen=True, slots=True)
class Corruption:
    """One kind, and what its five strengths are."""

    change: Callable[[Values, float, Rng], Values]
    strengths: tuple[float, float, float, float, float]
    unit: str


CORRUPTIONS: Mapping[str, Corruption] = {
    "gaussian_noise": Corruption(gaussian_noise, (4, 7, 10, 15, 20), "sigma, grey levels"),
    "shot_noise": Corruption(shot_noise, (250, 120, 60, 30, 15), "photons for white"),
    "impulse_noise": Corruption(impulse_noise, (0.01, 0.02, 0.04, 0.07, 0.1), "share of pixels"),
    "speckle_noise": Corruption(speckle_noise, (0.05, 0.1, 0.15, 0.2, 0.3), "share of grey level"),
    "defocus_blur": Corruption(defocus_blur, (0.5, 0.75, 1.0, 1.5, 2.0), "sigma, pixels"),
    "motion_blur": Corruption(motion_blur, (3, 4, 6, 8, 11), "length, pixels"),
    "zoom_blur": Corruption(zoom_blur, (0.06, 0.1, 0.15, 0.2, 0.3), "share of size"),
    "low_resolution": Corruption(low_resolution, (0.75, 0.625, 0.5, 0.375, 0.25), "share of side"),
    "jpeg": Corruption(jpeg, (70, 50, 30, 20, 10), "quality"),
    "brightness": Corruption(brightness, (1.2, 1.35, 1.5, 1.75, 2.0), "gain"),
    "darkness": Corruption(darkness, (0.7, 0.5, 0.35, 0.25, 0.15), "gain"),
    "contrast": Corruption(contrast, (0.7, 0.5, 0.35, 0.25, 0.15), "share of contrast"),
    "fog": Corruption(fog, (0.2, 0.3, 0.4, 0.5, 0.6), "share of haze"),
    "occlusion": Corruption(occlusion, (0.05, 0.1, 0.15, 0.2, 0.3), "share of area"),
    "elastic": Corruption(elastic, (1.0, 1.5, 2.0, 2.5, 3.0), "pixels"),
}
"""By name; the third strength of noise, blur, resolution and JPEG is what their figures quote."""


def corrupt(faces: Pixels, kind: str, strength: int, seed: int = 0) -> Pixels:
    """Return grey faces uint8 (N, S, S) corrupted, the same for the same seed.

    Raises `SettingsError` for a kind that is not in `CORRUPTIONS` and a strength outside 1..5.
    """
    require_corruption(kind)
    if strength not in STRENGTHS:
        raise SettingsError(f"strength must be 1 to 5, got {strength}")
    corruption = CORRUPTIONS[kind]
    rng = np.random.default_rng((seed, zlib.crc32(kind.encode()), strength))
    changed = corruption.change(faces.astype(np.float32), corruption.strengths[strength - 1], rng)
    return np.asarray(changed.round().clip(0, 255), np.uint8)


def require_corruption(kind: str) -> None:
    """Raise `SettingsError` for a kind that is not in `CORRUPTIONS`."""
    if kind not in CORRUPTIONS:
        raise SettingsError(f"unknown corruption '{kind}'; known: {', '.join(CORRUPTIONS)}")
