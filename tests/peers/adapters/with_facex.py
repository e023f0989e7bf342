"""facex: `EmotionClassifier.predict`, and `detect_emotion` for a face that is cut already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LABELS = {"anger": "angry", "sadness": "sad", "surprised": "surprise"}
"""The package's names where they are not FER2013's."""


class Adapter:
    """One of the package's classifiers, without its pool of threads."""

    def __init__(self) -> None:
        import facex
        from facex.core import EmotionClassifier

        model = Path(str(facex.__file__)).parent / "assets/model_optimized.tflite"
        self._classifier = EmotionClassifier(str(model))

    def look(self, picture: Any, time: float) -> str | None:
        """Return the likeliest label of the first face."""
        found = self._classifier.predict(picture)
        return likeliest(found[0]["emot"]) if found else None

    def read(self, face: Any) -> str:
        """Return the likeliest label of a face."""
        return likeliest(self._classifier.detect_emotion(face))


def likeliest(emotions: dict[str, Any]) -> str:
    """Return FER2013's name of the label with the highest score."""
    best = max(emotions, key=lambda label: float(emotions[label]))
    return LABELS.get(best, best)
