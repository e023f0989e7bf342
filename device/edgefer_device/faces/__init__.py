"""Faces: detectors, how their boxes become chips, tracks, and what is wrong with a chip."""
