"""The cameras behind the seam in `edgefer_device.cameras.camera`, one file a kind.

OpenCV reads some of its settings from the environment, once, so they are made here,
before any camera is.
"""

from __future__ import annotations

import os

import cv2

STALL_SECONDS = 5.0
"""How long a camera may give nothing before it counts as lost: the slowest webcams need 2 to 3 s
for their first frame, and one that stands still must be back within 10 s."""

# FFmpeg and OpenCV would write on stderr at length what our errors say in one line.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
if hasattr(cv2.utils, "logging"):
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
else:  # before OpenCV 4.7, as on a Jetson; it calls even a setting an error that it lacks
    cv2.setLogLevel(1)  # type: ignore[attr-defined]  # the stubs are those of a later one
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", f"{STALL_SECONDS:.0f}")
