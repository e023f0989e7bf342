"""`gstreamer:`: the pipeline's text, and the words where Python cannot play it.

GStreamer itself plays in `tests/deploy/test_jetson.py`, where its packages are.
"""

from __future__ import annotations

import pytest

from edgefer.errors import CameraError, SettingsError
from edgefer_device.cameras.gstreamer import absent, pipeline
from edgefer_device.cameras.opening import camera_address, open_camera


def test_the_pipeline_for_a_jetson_says_what_the_options_say() -> None:
    address = "gstreamer:?sensor=1&capture=1920x1080&size=640x360&rate=15"
    assert pipeline(camera_address(address).options).split(" ! ") == [
        "nvarguscamerasrc sensor-id=1",
        "video/x-raw(memory:NVMM),format=NV12,width=1920,height=1080,framerate=15/1",
        "nvvidconv",
        "video/x-raw,format=BGRx,width=640,height=360",
        "videoconvert",
        "appsink sync=false",
    ]


def test_a_python_without_gstreamer_is_told_with_what_to_do() -> None:
    if absent() is None:
        pytest.skip("this Python finds GStreamer")
    with pytest.raises(CameraError, match=r"finds no PyGObject; sudo apt install .* --system-site"):
        open_camera("gstreamer:")


@pytest.mark.parametrize("text", ["videotestsrc ! autovideosink", "appsink ! fakesink"])
def test_a_pipeline_of_ones_own_ends_in_pictures(text: str) -> None:
    with pytest.raises(SettingsError, match=r"must end in 'videoconvert ! appsink'"):
        open_camera(f"gstreamer:{text}")


def test_a_pipeline_of_ones_own_says_everything_itself() -> None:
    with pytest.raises(SettingsError, match="sets sensor, size and rate itself"):
        open_camera("gstreamer:videotestsrc ! appsink?rate=15")
