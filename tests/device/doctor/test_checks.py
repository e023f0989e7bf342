"""The doctor: what it checks, what it finds, and what it advises."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgefer.cli import main
from edgefer.signature import make_keys
from edgefer_device.daemon.configuration import Config
from edgefer_device.doctor import camera_checks, installation, machine, services
from edgefer_device.doctor.diagnosis import describe
from edgefer_device.system.check import Check, Level, check_architecture, check_python
from support.mosquitto import Mosquitto, free_port


def doctor(*words: object) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, words)])


def ran(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def settings(folder: Path, text: str) -> Path:
    path = folder / "edgefer.toml"
    path.write_text(f'state = "{folder}"\n{text}')
    return path


def test_without_a_failure_the_exit_status_is_0(data: Path, tmp_path: Path) -> None:
    clip = data / "clips/help.mkv"
    done = doctor("--config", settings(tmp_path, f'camera = "file:{clip}"'), "--json")
    diagnosis = json.loads(done.stdout)
    fails = [check for check in diagnosis["checks"] if check["level"] == "fail"]
    assert fails == []
    assert (done.exit_code, diagnosis["ok"]) == (0, True)
    checked = {check["what"] for check in diagnosis["checks"]}
    expected = {"system", "architecture", "python", "memory", "clock", "throttling", "heat"}
    expected |= {
        "numpy",
        "opencv",
        "litert",
        "onnxruntime",
        "rknn",
        "edgetpu",
        "camera stack",
        "permission",
        "model",
    }
    assert checked == expected | {"configuration", "limits", "detector", "camera", "state"}


def test_a_failure_is_exit_status_1_and_a_line_with_advice(tmp_path: Path) -> None:
    done = doctor("--config", settings(tmp_path, 'camera = "file:absent.mkv"'))
    assert done.exit_code == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("fail")]
    assert " ".join(line.split()) == (
        "fail camera absent.mkv: no such file or folder; name one that exists"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('camra = "demo:"', "unknown key 'camra'; did you mean 'camera'?"),
        ('model = "absent"', "absent: no such model bundle; shipped models: "),
        ('detector = "eyes"', "unknown detector 'eyes'; known: blazeface, blazeface-short, haar"),
        ('camera = "webcam:"', "unknown camera 'webcam:'; known: "),
        ('sinks = ["mqtt://localhost"]', "such as mqtt://localhost/home/mirror"),
        ('sinks = ["jsonl:/proc/none/x.jsonl"]', "/proc/none is not writable"),
    ],
)
def test_each_setting_that_cannot_work_is_named(tmp_path: Path, text: str, expected: str) -> None:
    done = doctor("--config", settings(tmp_path, text))
    assert done.exit_code == 1
    assert any(line.startswith("fail") and expected in line for line in done.stdout.splitlines())


def test_each_check_is_one_line_in_columns() -> None:
    checks = [Check(Level.ok, "os", "fine"), Check(Level.fail, "camera", "gone", "plug it in")]
    assert describe(checks) == [
        [("ok  ", "green"), "  os      fine"],
        [("fail", "red"), "  camera  gone; plug it in"],
    ]


LIGHT = """
import sys
from edgefer.cli import main
try:
    main(["doctor", "--config", sys.argv[1]], standalone_mode=False)
finally:
    print("loaded:", sorted({"tensorflow", "tf_keras", "edgefer_train"} & set(sys.modules)))
"""


def test_the_doctor_never_loads_tensorflow(tmp_path: Path) -> None:
    done = ran(LIGHT, str(settings(tmp_path, 'sinks = ["console:"]')))
    assert "camera" in done.stdout
    assert done.stdout.splitlines()[-1] == "loaded: []", done.stderr


BREAK = """
import sys
sys.path.insert(0, sys.argv[1])
from edgefer.cli import main
main(["doctor"], standalone_mode=False)
"""


@pytest.mark.parametrize(
    ("package", "error", "expected"),
    [
        ("cv2", "ImportError('numpy.core.multiarray failed to import')", "numpy.core.multiarray"),
        ("cv2", "AttributeError('_ARRAY_API not found')", "AttributeError: _ARRAY_API not found"),
        ("ai_edge_litert", "OSError('wrong ELF class')", "wrong ELF class"),
    ],
)
def test_a_broken_package_fails_and_hides_nothing_else(
    tmp_path: Path, package: str, error: str, expected: str
) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise {error}\n")
    done = ran(BREAK, str(tmp_path))
    assert "Traceback" not in done.stderr
    assert any(line.startswith("fail") and expected in line for line in done.stdout.splitlines())
    assert "ok    architecture" in done.stdout
    assert done.returncode == 1


# --- the machine -----------------------------------------------------------------------


def test_32_bits_are_too_few() -> None:
    assert check_architecture("aarch64", 64).level is Level.ok
    for name, bits in (("armv7l", 32), ("aarch64", 32), ("riscv64", 64)):
        check = check_architecture(name, bits)
        assert check.level is Level.fail
        assert "install a 64-bit system" in str(check.advice)


@pytest.mark.parametrize(
    ("version", "level"), [((3, 9), Level.fail), ((3, 11), Level.ok), ((3, 15), Level.warn)]
)
def test_a_python_is_too_old_tested_or_new(version: tuple[int, int], level: Level) -> None:
    assert check_python(version).level is level


@pytest.mark.parametrize(("free", "level"), [(90, "fail"), (200, "warn"), (3000, "ok")])
def test_memory_must_hold_the_daemon(tmp_path: Path, free: int, level: str) -> None:
    kilobytes = free * 10**6 // 1024 + 1
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: 4000000 kB\nMemFree: 1 kB\nMemAvailable: {kilobytes} kB\n")
    check = machine.check_memory(meminfo)
    assert check.level == level
    assert check.found == f"{free:,} of 4,096 MB free"


@pytest.mark.parametrize(
    ("controllers", "folder", "level"),
    [
        ("cpu io memory pids", "", "ok"),
        ("cpu io pids", "memory", "warn"),
        (None, "memory", "ok"),
        (None, "cpu", "warn"),
    ],
)
def test_a_kernel_without_the_memory_control_group_is_a_warning(
    tmp_path: Path, controllers: str | None, folder: str, level: str
) -> None:
    """As a Raspberry Pi's, unless it is told to; the first version of control groups as well."""
    (tmp_path / folder).mkdir(exist_ok=True)
    if controllers is not None:
        (tmp_path / "cgroup.controllers").write_text(f"{controllers}\n")
    check = machine.check_limits(tmp_path)
    assert check.level == level
    assert ("cgroup_enable=memory" in (check.advice or "")) == (level == "warn")


def refused() -> int:
    raise OSError("adjtimex is not permitted")


def test_an_unsynchronised_clock_is_a_warning() -> None:
    assert machine.check_clock(lambda: 0).level is Level.ok
    check = machine.check_clock(lambda: machine.UNSYNCHRONISED)
    assert (check.level, check.advice) == (Level.warn, "run: sudo timedatectl set-ntp true")
    assert "adjtimex is not permitted" in machine.check_clock(refused).found
    assert machine.check_clock().what == "clock"


@pytest.mark.parametrize(
    ("bits", "level", "words"),
    [
        (0x0, "ok", "none since boot"),
        (0x50005, "warn", "now: under-voltage, throttled; use the power supply"),
        (0x80000, "warn", "since boot: temperature limit; give it a heat sink"),
        (0x10000, "warn", "since boot: under-voltage; use the power supply"),
    ],
)
def test_throttling_flags_are_named(bits: int, level: str, words: str) -> None:
    check = machine.throttling(bits)
    assert check.level == level
    assert f"{check.found}; {check.advice}".startswith(words)


@pytest.mark.parametrize(
    ("answer", "level", "found"),
    [
        ("echo throttled=0x0", "ok", "none since boot"),
        ("echo throttled=0x4", "warn", "now: throttled"),
        ("echo VCHI initialization failed; exit 1", "warn", "does not respond"),
    ],
)
def test_the_firmware_of_a_raspberry_pi_is_queried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, level: str, found: str
) -> None:
    program = tmp_path / "vcgencmd"
    program.write_text(f'#!/bin/sh\n[ "$1" = get_throttled ] || exit 2\n{answer}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    check = machine.check_throttling(tmp_path)
    assert check.level == level
    assert found in check.found


def test_without_vcgencmd_throttling_is_not_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.check_throttling(tmp_path).level is Level.ok


def test_the_hottest_zone_is_reported(tmp_path: Path) -> None:
    assert "no temperature sensor" in machine.check_heat(tmp_path).found
    for number, (name, millidegrees) in enumerate([("cpu", "61200"), ("gpu", "74900")]):
        zone = tmp_path / f"class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "type").write_text(f"{name}\n")
        (zone / "temp").write_text(f"{millidegrees}\n")
    asleep = tmp_path / "class/thermal/thermal_zone2"
    asleep.mkdir()
    (asleep / "type").write_text("modem\n")
    check = machine.check_heat(tmp_path)
    assert (check.level, check.found) == (Level.warn, "75 °C (gpu)")
    assert str(check.advice).startswith("throttled at 80 °C")


# --- the installation -------------------------------------------------------------------------


def test_this_environment_passes() -> None:
    for check in (
        installation.check_numpy(),
        installation.check_opencv(),
        installation.check_litert(),
    ):
        assert check.level is Level.ok, check
    assert installation.check_model(Config()).level is Level.ok


def test_opencv_5_is_too_new() -> None:
    check = installation.check_opencv("5.0.0")
    assert check.level is Level.fail
    assert check.advice == "run: pip install 'opencv-python-headless>=4.10,<5'"


def test_a_damaged_model_fails(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    check = installation.check_model(Config(model=str(tmp_path)))
    assert check.level is Level.fail
    assert "manifest.json" in check.found


def test_a_model_that_the_configured_key_has_not_signed_fails(tmp_path: Path) -> None:
    make_keys(tmp_path / "release")
    check = installation.check_model(Config(signed_by=str(tmp_path / "release.pub")))
    assert check.level is Level.fail
    assert "is not signed; expected a signature by" in check.found


def test_an_edgetpu_needs_its_library_and_a_library_its_edgetpu(tmp_path: Path) -> None:
    usb, none = tmp_path / "usb", tmp_path / "apex_0"
    stick, mouse = usb / "1-1", usb / "1-2"
    for device, vendor, product in ((stick, "18d1", "9302"), (mouse, "046d", "c077")):
        device.mkdir(parents=True)
        (device / "idVendor").write_text(f"{vendor}\n")
        (device / "idProduct").write_text(f"{product}\n")
    check = installation.check_edgetpu(usb, none, "libedgetpu-absent.so.1")
    assert check.level is Level.warn
    assert check.found == "plugged in, but libedgetpu-absent.so.1 is missing"
    assert installation.check_edgetpu(usb, none, "libc.so.6").level is Level.ok
    (stick / "idVendor").write_text("1d6b\n")
    assert installation.check_edgetpu(usb, none, "libc.so.6").level is Level.warn
    assert installation.check_edgetpu(usb, none, "libedgetpu-absent.so.1").level is Level.ok


# --- the camera ------------------------------------------------------------------------

WEBCAM = ("v4l2:/dev/video0", None)
CLOSED = ("v4l2:/dev/video2", "may not be opened; run: sudo usermod -aG video pi")


@pytest.mark.parametrize(
    ("uri", "cameras", "level", "found"),
    [
        ("v4l2:/dev/video0", [WEBCAM], "ok", "v4l2:/dev/video0 is present"),
        ("v4l2:/dev/video0?size=640x480", [WEBCAM], "ok", "v4l2:/dev/video0 is present"),
        ("v4l2:", [CLOSED, WEBCAM], "ok", "v4l2:/dev/video0 is present"),
        ("auto:", [("picamera2:0", None), WEBCAM], "ok", "picamera2:0 is present"),
        ("auto:", [], "fail", "auto: not found"),
        ("v4l2:/dev/video2", [CLOSED], "fail", "v4l2:/dev/video2 may not be opened; run: sudo"),
        ("picamera2:", [WEBCAM], "fail", "picamera2: not found"),
        ("v4l2:/dev/video9", [WEBCAM], "fail", "v4l2:/dev/video9 not found"),
        ("faulty:demo:", [], "warn", "faulty:demo: simulates faults"),
        ("demo:", [], "warn", "demo: simulates a camera"),
        ("images:/dev", [], "warn", "images: simulates a camera"),
        ("gstreamer:videotestsrc ! appsink", [], "fail", "finds no PyGObject"),
    ],
)
def test_the_configured_camera_is_matched_with_those_found(
    uri: str, cameras: camera_checks.Found, level: str, found: str
) -> None:
    check = camera_checks.check_camera(uri, cameras)
    assert check.level == level
    assert found in check.found


def test_a_missing_camera_is_reported_with_those_found() -> None:
    check = camera_checks.check_camera("v4l2:/dev/video9", [WEBCAM, ("picamera2:0", None)])
    assert (
        check.advice == "found: v4l2:/dev/video0, picamera2:0; list cameras with: edgefer cameras"
    )


def test_a_stable_name_means_its_camera(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    link = tmp_path / "usb-Some_Webcam"
    link.symlink_to("video0")
    check = camera_checks.check_camera(f"v4l2:{link}", [(f"v4l2:{tmp_path / 'video0'}", None)])
    assert check.level is Level.ok


def test_a_stream_must_respond_and_its_password_is_hidden() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
        uri = f"rtsp://me:secret@127.0.0.1:{port}/live#rotate=90"
        check = camera_checks.check_camera(uri)
    assert (check.level, check.found) == (
        Level.ok,
        f"rtsp://127.0.0.1:{port}/live: 127.0.0.1 port {port} responds",
    )
    check = camera_checks.check_camera(uri)
    assert check.level is Level.fail
    assert "does not respond: Connection refused" in check.found


def test_only_a_raspberry_pi_needs_picamera2(tmp_path: Path) -> None:
    assert camera_checks.check_stack(tmp_path / "absent").level is Level.ok
    board = tmp_path / "model"
    board.write_text("Raspberry Pi 5 Model B Rev 1.0\0")
    check = camera_checks.check_stack(board)
    assert check.level is Level.warn
    assert "sudo apt install python3-picamera2" in check.found


def test_devices_without_permission_are_reported_with_their_group(tmp_path: Path) -> None:
    assert camera_checks.check_permission(tmp_path).level is Level.ok
    (tmp_path / "video0").touch()
    assert camera_checks.check_permission(tmp_path).level is Level.ok
    if os.getuid() == 0:
        return  # root may open anything
    (tmp_path / "video0").chmod(0)
    check = camera_checks.check_permission(tmp_path)
    assert check.level is Level.fail
    assert str(check.advice).startswith("run: sudo usermod -aG ")


# --- services ------------------------------------------------------------------


def test_a_broker_that_accepts_the_connection_is_ok(broker: Mosquitto) -> None:
    check = services.check_broker(f"mqtt://127.0.0.1:{broker.port}/home/mirror")
    assert (check.level, check.found) == (
        Level.ok,
        f"127.0.0.1:{broker.port} accepts the connection",
    )


def test_a_broker_that_refuses_fails_with_the_reason(locked_broker: Mosquitto) -> None:
    address = f"127.0.0.1:{locked_broker.port}"
    assert services.check_broker(f"mqtt://mirror:right@{address}/home").level is Level.ok
    check = services.check_broker(f"mqtt://mirror:wrong@{address}/home")
    assert check.level is Level.fail
    assert check.found == f"{address} refuses: Not authorized"
    assert "wrong" not in f"{check.found} {check.advice}"


def test_a_missing_broker_fails() -> None:
    port = free_port()
    check = services.check_broker(f"mqtt://127.0.0.1:{port}/home/mirror")
    assert check.level is Level.fail
    assert f"127.0.0.1:{port} cannot be reached: " in check.found
    assert "Connection refused" in check.found


def test_a_state_folder_is_ok_if_it_could_be_created(tmp_path: Path) -> None:
    check = services.check_state(str(tmp_path / "state" / "edgefer"))
    assert check.level in (Level.ok, Level.warn)
    assert check.found.startswith(f"{tmp_path / 'state' / 'edgefer'} is writable, ")
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_state_folder_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert services.check_state(str(tmp_path / "file" / "state")).level is Level.fail
    check = services.check_state("/proc/edgefer")
    assert check.level is Level.fail
    assert "or name another folder" in str(check.advice)
