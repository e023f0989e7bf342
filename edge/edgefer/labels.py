"""The label sets of models, in the order of their outputs."""

from __future__ import annotations

from collections.abc import Iterable

from edgefer.errors import SettingsError

FER2013 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""FER2013's classes in the order of its `emotion` column (Goodfellow et al. 2013)."""

FERPLUS = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
"""FER+'s eight classes in the order of its vote columns (Barsoum et al. 2016)."""

LABEL_SETS: dict[str, tuple[str, ...]] = {"fer2013": FER2013, "ferplus": FERPLUS}
EVERY_LABEL = tuple(dict.fromkeys((*FER2013, *FERPLUS)))
"""Those of all label sets."""

FOLDERS = "folders"
"""In place of a label set's name: the sorted names of a dataset's own folders."""

BOTH = "both"
"""In place of a label set's name: both heads of a model together, by the labels of the first."""

UNKNOWN = "unknown"
"""Reported in place of a label that is not probable enough."""

NOBODY, UNCERTAIN = "nobody", "uncertain"
"""Word of content rules and Home Assistant for no face; of the latter for `UNKNOWN`."""

THRESHOLD = 0.4
"""Probability from which on a label is reported, unless it is configured."""

_SPELLINGS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}


def label_set(name: str) -> tuple[str, ...]:
    """Return the labels of a set by its name; raise `SettingsError` for another name."""
    try:
        return LABEL_SETS[name]
    except KeyError:
        known = ", ".join(LABEL_SETS)
        raise SettingsError(f"unknown label set '{name}'; known: {known}") from None


def check_labels(labels: Iterable[str], source: str) -> None:
    """Raise `SettingsError`, naming `source`, for a class that cannot be shown, or is called as
    one of our own words."""
    for label in labels:
        if not label.isprintable():
            raise SettingsError(f"{source}: no class can be called '{label}'; rename it")
        if label.strip().lower() in (UNKNOWN, NOBODY, UNCERTAIN):
            raise SettingsError(
                f"{source}: no class can be called '{label}': {UNKNOWN}, {NOBODY} and {UNCERTAIN} "
                "are reported where no class is; rename it"
            )


def spelled(name: str) -> str:
    """Return a class's name as our label sets write it: `Happiness` is `happy`."""
    return _SPELLINGS.get(name.lower(), name.lower())
