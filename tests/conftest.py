"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real faces and clips that EDGEFER_DATA names."""
    named = os.environ.get("EDGEFER_DATA")
    if not named:
        pytest.skip("EDGEFER_DATA is not set: it names the folder with fer2013.npz, clips, photos")
    if not Path(named).is_dir():
        pytest.skip(f"EDGEFER_DATA={named} is not a folder")
    return Path(named)
