"""Addresses that hold secrets: taken apart once, and shown without them everywhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgefer.errors import SettingsError
from edgefer_device.cameras.opening import camera_address
from edgefer_device.daemon.configuration import Config
from edgefer_device.doctor.camera_checks import check_camera
from edgefer_device.sinks.mqtt.broker import parse_broker
from edgefer_device.sinks.opening import SinkContext, SinkSpec, open_sink, sink_address
from edgefer_device.system.address import Url, label_of, parse_address, redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://me:pass@word@cam:8554/a/b?token=x", "rtsp://cam:8554/a/b"),
        ("http://cam", "http://cam"),
        ("https://me@[::1]/x", "https://[::1]/x"),
        ("https://me:secret@[::1]:80/x#y", "https://[::1]:80/x"),
        ("mqtt://mirror:secret", "mqtt://mirror:***"),
        ("rtsp://cam:554/user=me&password=secret/1", "rtsp://cam:554/user=***&password=***/1"),
        ("rtsp://me:secret/1@cam/live", "rtsp://***"),
        ("rtsp://me#secret@cam/live", "rtsp://***"),
        ("mqtt://me:pa#ss@broker/home", "mqtt://***"),
        ("http://cam/live@2", "http://cam/live@2"),
        ("faulty:rtsp://me:secret@cam/live?every=1", "faulty:rtsp://cam/live"),
        ("webhook:https://me:secret@hooks:80/T0/secret?x", "webhook:https://hooks:80"),
        ("file:a clip.mp4", "file:a clip.mp4"),
        (
            "gstreamer:rtspsrc location=rtsp://me:secret@cam/x user-pw=secret ! appsink",
            "gstreamer:rtspsrc location=rtsp://cam/x user-pw=*** ! appsink",
        ),
    ],
)
def test_an_address_is_shown_without_what_is_secret(text: str, shown: str) -> None:
    assert redacted(text) == shown


PASSWORDS = ("secret/1", "secret?1", "secret#1", "x#secret", "12/secret", "a@b/secret", "/secret")


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    ("form", "parse"),
    [
        ("rtsp://me:{}@127.0.0.1/live", camera_address),
        ("http://me:{}@127.0.0.1/live#timeout=2s", camera_address),
        ("faulty:rtsp://me:{}@127.0.0.1/live", camera_address),
        ("mqtt://me:{}@127.0.0.1/home/m", open_sink),
        ("mqtts://me:{}@127.0.0.1/home/m", parse_broker),
        ("webhook:https://me:{}@127.0.0.1/hook", open_sink),
    ],
)
def test_an_ambiguous_password_is_refused_with_how_to_write_it(
    form: str, parse: Callable[[str], object], password: str
) -> None:
    with pytest.raises(SettingsError, match=r"write / as %2F, \? as %3F and # as %23") as refused:
        parse(form.format(password))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("uri", ["mqtt://host/home/a#b", "mqtt://me:pw@host/home#x"])
def test_what_follows_a_topic_is_refused_by_its_reason(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"nothing may follow the topic; in a user or password"):
        open_sink(uri)


@pytest.mark.parametrize("uri", ["mirror:bad host:80", "metrics:a/b:80", "mirror:bad host"])
def test_no_server_listens_on_what_is_no_host(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"expected \w+:HOST:PORT, such as \w+:127\.0\.0\.1:"):
        open_sink(uri)


def test_a_long_text_is_redacted_whole_and_a_long_label_is_cut() -> None:
    pipeline = f"gstreamer:{'videoconvert ! ' * 50}appsink"
    assert redacted(pipeline) == pipeline
    assert " ... " in label_of(pipeline)


def test_an_escaped_password_is_understood() -> None:
    url = Url.parse("mqtt://me:a%2Fb%3Fc%23d%40@host:1884/x", "URL")
    assert (url.host, url.port, url.path) == ("host", 1884, "/x")
    assert (url.user, url.password) == ("me", "a/b?c#d@")


def test_no_repr_and_no_check_shows_a_password() -> None:
    uri = "rtsp://me:secret@127.0.0.1:9/live?key=secret"
    hook = "webhook:https://me:secret@h/secret?key=secret"
    sink = sink_address(hook)
    shown = [
        repr(camera_address(uri)),
        repr(camera_address(f"faulty:{uri}")),
        repr(SinkSpec(hook, sink, None, SinkContext())),
        repr(Url.parse("mqtt://me:secret@h/x?secret", "URL")),
        repr(parse_address(uri, "camera", {"rtsp": "rtsp://"}, ["rtsp"])),
        repr(check_camera(uri)),
        repr(Config(camera=uri, sinks=(hook, "mqtt://me:secret@h/x"))),
        repr(check_camera(f"faulty:{uri}")),
    ]
    assert not [text for text in shown if "secret" in text]


@pytest.mark.parametrize(
    ("uri", "parse"),
    [
        ("console:rtsp://me:secret@cam", open_sink),
        ("faulty:faulty:rtsp://me:secret@cam/live", camera_address),
        ("rtmp://me:secret@cam", camera_address),
        ("mqtt://mirror:secret", open_sink),
        ("webhook:https://mirror:secret", open_sink),
        ("rtsp://admin:secret", camera_address),
        ("rtsp://admin:secret@cam/\udcff", camera_address),
        ("rtsp://admin#secret@cam/live", camera_address),
        ("mqtt://me#secret@host/home", open_sink),
        ("webhook:https:///T0/secret", open_sink),
        ("webhook:https://hooks.example/T0/secret#speed=1", open_sink),
    ],
)
def test_no_refusal_shows_a_password(uri: str, parse: Callable[[str], object]) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(uri)
    assert "secret" not in str(refused.value)
