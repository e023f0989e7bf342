"""An enrollment that is given reports."""

from __future__ import annotations

import asyncio
from pathlib import Path

from edgefer.labels import FER2013
from edgefer.messages import Box, Face, Report
from edgefer_device.mood.own_calibration import CalibrationStore
from edgefer_device.pipeline.analyzer import FaceClassifier
from edgefer_device.sinks.enrollment import Enrollment, EnrollmentRequest
from support.bundles import manifest
from support.scripted import ScriptedClassifier

STEP = 0.1
"""Seconds between reports."""
WANTED = EnrollmentRequest(("neutral", "happy"), 2.0)


class Story:
    """An enrollment and the reports that it is given."""

    def __init__(self, folder: Path) -> None:
        decoder = manifest().decoder()
        self.classifier = FaceClassifier(ScriptedClassifier([(1.0,) * 7]), manifest(), decoder)
        self.store = CalibrationStore(folder, manifest(), decoder)
        self.enrollment = Enrollment(self.store, self.classifier)
        self.time = 0.0

    def see(self, seconds: float, *looks: str, problem: str | None = None) -> None:
        """Give reports of faces that are read as these labels, or cannot be, for a reason."""
        for _ in range(round(seconds / STEP)):
            self.time += STEP
            faces = tuple(face(number, look) for number, look in enumerate(looks))
            report = Report(self.time, 0, faces, None, None, problem=problem)
            asyncio.run(self.enrollment.publish(report))

    @property
    def outcome(self) -> str | None:
        return self.enrollment.state.outcome

    def enroll(self) -> None:
        """Run to the end with a face that rests sad."""
        self.enrollment.begin(WANTED)
        self.see(6, "sad")
        self.see(6, "happy")


def face(number: int, look: str) -> Face:
    """Return a face read as a label, surely with a `!`; another word is why it cannot be read."""
    label, rest = look.rstrip("!"), 0.001 if look.endswith("!") else 0.08
    shares, read = dict.fromkeys(FER2013, rest) | {label: 1 - 6 * rest}, label in FER2013
    return Face(
        number, Box(0, 0, 9, 9), 0.9, "unknown", shares if read else {}, None if read else look
    )
