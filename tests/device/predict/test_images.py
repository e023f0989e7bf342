"""Predictions for single image files, and files that are no images."""

from __future__ import annotations
