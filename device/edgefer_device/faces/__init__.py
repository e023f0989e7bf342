"""Face detectors, tracking, and the quality of face crops."""
