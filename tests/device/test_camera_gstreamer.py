"""`gstreamer:`: the pipeline's text, and the words where OpenCV cannot play it."""

from __future__ import annotations

import pytest

from edgefer.errors import CameraError, SettingsError
from edgefer_device.camera import camera_address, open_camera
from edgefer_device.cameras import gstreamer
from edgefer_device.cameras.gstreamer import absent_elements, pipeline


def test_the_pipeline_for_a_jetson_says_what_the_options_say() -> None:
    address = "gstreamer:?sensor=1&capture=1920x1080&size=640x360&rate=15"
    assert pipeline(camera_address(address).options).split(" ! ") == [
        "nvarguscamerasrc sensor-id=1",
        "video/x-raw(memory:NVMM),format=NV12,width=1920,height=1080,framerate=15/1",
        "nvvidconv",
        "video/x-raw,format=BGRx,width=640,height=360",
        "videoconvert",
        "video/x-raw,format=BGR",
        "appsink drop=true max-buffers=1 sync=false",
    ]


def test_an_opencv_without_gstreamer_is_told_with_what_to_do() -> None:
    if gstreamer.available():
        pytest.skip("this OpenCV has GStreamer")
    with pytest.raises(CameraError, match=r"built without GStreamer; .* --system-site-packages"):
        open_camera("gstreamer:")


def test_a_pipeline_of_ones_own_says_everything_itself() -> None:
    with pytest.raises(SettingsError, match=r"must end in 'videoconvert ! appsink'"):
        open_camera("gstreamer:videotestsrc ! autovideosink")
    with pytest.raises(SettingsError, match="says sensor, size and rate itself"):
        open_camera("gstreamer:videotestsrc ! appsink?rate=15")


def test_only_elements_are_asked_for_and_not_what_runs_between_them() -> None:
    text = "nosuchsource name=a ! video/x-raw(memory:NVMM),width=3 ! nosuchfilter ! a. ! appsink"
    # Machines without GStreamer's library cannot be asked; those with it may lack the plugins.
    assert set(absent_elements(text)) in (
        set(),
        {"nosuchsource", "nosuchfilter"},
        {"nosuchsource", "nosuchfilter", "appsink"},
    )
