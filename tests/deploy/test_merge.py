"""Settings of a device and of a deployment: both stay, as far as they can."""

from __future__ import annotations

import pytest

from edgefer.errors import SettingsError
from edgefer_device.deploy.artifacts import firmware_config
from edgefer_device.deploy.merge import checked, deployed, merge
from edgefer_device.deploy.plan import _merged, measured, tuned_file
from edgefer_device.deploy.staging import SETTINGS, Placed

SHIPPED = (firmware_config() / "common" / "edgefer.toml").read_text()
WANTED = {"camera": "demo:", "mirror": {"name": "Ada"}, "mqtt": {"user": "edgefer"}}


def test_what_is_wanted_is_set_and_every_comment_stays() -> None:
    merged = merge(SHIPPED, "", SHIPPED, WANTED, "host")
    assert merged.kept == ()
    assert merged.changed == ('camera = "demo:"', 'mirror.name = "Ada"', 'mqtt.user = "edgefer"')
    config = checked(merged.text, "host")
    assert (config.camera, config.mirror.name, config.mqtt.user) == ("demo:", "Ada", "edgefer")
    comments = [line for line in SHIPPED.splitlines() if line.startswith("#")]
    assert [line for line in comments if line not in merged.text] == []


def test_no_password_of_an_address_is_shown() -> None:
    wanted = {"camera": "rtsp://me:secret@cam/x", "sinks": ["mqtt://me:secret@h/x", "console:"]}
    merged = merge(SHIPPED, "", SHIPPED, wanted, "host")
    assert merged.changed == ('camera = "rtsp://cam/x"', 'sinks = ["mqtt://h/x", "console:"]')
    assert merged.text.count("me:secret@") == 2


def test_again_there_is_nothing_to_do() -> None:
    first = merge(SHIPPED, "", SHIPPED, WANTED, "host")
    again = merge(first.text, deployed(WANTED), SHIPPED, WANTED, "host")
    assert (again.text, again.changed, again.kept) == (first.text, (), ())


def test_a_file_of_ones_own_has_only_what_is_wanted_added() -> None:
    own = '# mine\ncamera = "v4l2:/dev/video2"\n\n[mood]\nthreshold = 0.5  # strict\n'
    merged = merge(own, "", SHIPPED, {"model": "tiny", "mood": {"seconds": 9.0}}, "host")
    assert merged.changed == ('model = "tiny"', "mood.seconds = 9.0")
    config = checked(merged.text, "host")
    assert (config.camera, config.model) == ("v4l2:/dev/video2", "tiny")
    assert (config.mood.threshold, config.mood.seconds) == (0.5, 9.0)
    assert "threshold = 0.5  # strict" in merged.text


def test_what_was_changed_on_the_device_stays_and_is_reported() -> None:
    first = merge(SHIPPED, "", SHIPPED, WANTED, "host").text
    mine = first.replace('camera = "demo:"', 'camera = "v4l2:/dev/video3"')
    merged = merge(mine, deployed(WANTED), SHIPPED, {**WANTED, "camera": "auto:"}, "host")
    assert (merged.text, merged.changed) == (mine, ())
    assert merged.kept == ('camera = "v4l2:/dev/video3"',)


def test_what_is_asked_for_no_longer_goes_back_to_what_is_shipped() -> None:
    first = merge(SHIPPED, "", SHIPPED, WANTED, "host").text
    merged = merge(first, deployed(WANTED), SHIPPED, {}, "host")
    assert merged.changed == (
        'camera = "auto:"',
        'mirror.name = ""',
        "mqtt.user = as shipped",
    )
    assert checked(merged.text, "host").mqtt.user is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('camera = "x', "pi@mirror: /etc/edgefer/edgefer.toml: "),
        ("[mood\n", "pi@mirror: /etc/edgefer/edgefer.toml: "),
    ],
)
def test_a_broken_file_on_the_device_is_reported_with_its_host(text: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as told:
        merge(text, "", SHIPPED, WANTED, "pi@mirror")
    assert str(told.value).startswith(complaint)


def test_settings_that_the_daemon_would_refuse_are_refused_here() -> None:
    merged = merge(SHIPPED, "", SHIPPED, {"mood": {"treshold": 0.3}}, "pi@mirror")
    with pytest.raises(SettingsError) as told:
        checked(merged.text, "pi@mirror")
    line = "pi@mirror: edgefer.toml: unknown key 'mood.treshold'; did you mean 'mood.threshold'?"
    assert str(told.value) == line


def test_settings_on_a_device_in_another_encoding_are_refused_in_one_line() -> None:
    there = {SETTINGS: Placed('camera = "demo:"  # grün'.encode("latin-1"), 0o644)}
    with pytest.raises(SettingsError, match=r"^mirror: /etc/.*edgefer\.toml, line 1: expected"):
        _merged({}, there, "mirror")


@pytest.mark.parametrize("content", [b"", b"{", b'{"runtime": "\xf6"}', b"[]"])
def test_a_damaged_measurement_counts_as_none(content: bytes) -> None:
    assert measured({tuned_file("one"): Placed(content, 0o644)}, "one") == {}


def test_a_table_within_an_inline_one_is_set() -> None:
    merged = merge("mqtt = { name = 'x' }\n", "", SHIPPED, {"mqtt": {"a": {"b": 1}}}, "host")
    assert "a = {b = 1}" in merged.text
