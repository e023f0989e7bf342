"""What each kind of device is given: looked at in dry runs, since none of them is here."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.conftest import GOOD, Laptop
from edgefer.bundle import open_bundle
from edgefer.cli import main
from edgefer.errors import DeployError
from edgefer_device.deploy import artifacts
from edgefer_device.deploy.targets import TARGETS, model_for
from edgefer_device.deploy.wheels import Pin, Python, Wheelhouse, file_hash
from support.edgetpu_library import build_library, write_edgetpu_bundle


def planned(laptop: Laptop, target: str, *words: str, given: str = GOOD) -> list[str]:
    """The changes that a dry run names."""
    settings = laptop.home / "settings.toml"
    settings.write_text(given)
    done = laptop.edgefer(
        *("deploy", "--target", target, "--host", laptop.address, "--settings", settings),
        *("--wheel", laptop.wheel, "--dry-run", *words),
    )
    assert done.status == 0, done.out + done.err
    lines = [line.partition("  would ")[2] for line in done.out.splitlines()]
    return [line for line in lines if line and not line.startswith("change  ")]


def test_a_kiosks_screen_sleeps_where_its_compositor_can(fresh: Laptop) -> None:
    wanted = 'set screen.tool = "kiosk" in /etc/edgefer/edgefer.toml'
    assert wanted in planned(fresh, "debian", "--kiosk")
    assert wanted not in planned(fresh, "debian")
    fresh.device.check("sed -i 's/13 (trixie)/12 (bookworm)/' /etc/os-release")
    assert wanted not in planned(fresh, "debian", "--kiosk")


@pytest.mark.parametrize("target", ["rpi", "rpi-coral"])
def test_a_raspberry_pi_gets_its_camera_its_screen_and_its_boot_settings(
    laptop: Laptop, target: str
) -> None:
    laptop.device.check("mkdir -p /boot/firmware; echo arm_boost=1 >/boot/firmware/config.txt")
    changes = planned(laptop, target, "--kiosk")
    for wanted in (
        *("install python3-picamera2", "install cage", "install xwayland", "install chromium"),
        "change /boot/firmware/config.txt",
        "write /boot/firmware/edgefer.txt",
        "write /etc/systemd/system/edgefer-kiosk.service",
    ):
        assert wanted in changes
    coral = "write /boot/firmware/edgefer-coral.txt" in changes
    assert coral == (target == "rpi-coral")


def test_a_jetson_gets_its_power_mode_and_its_gpu(laptop: Laptop) -> None:
    changes = planned(laptop, "jetson")
    assert "write /etc/systemd/system/edgefer-power.service" in changes
    assert "write /etc/systemd/system/edgefer.service.d/jetson.conf" in changes


def test_a_jetson_gets_what_python_plays_a_camera_with(fresh: Laptop) -> None:
    fresh.device.check("dpkg --remove --force-depends gir1.2-gstreamer-1.0")
    assert "install gir1.2-gstreamer-1.0" in planned(fresh, "jetson")


GPU = "onnxruntime_gpu-1.23.0-cp310-cp310-linux_aarch64.whl"
"""What a build of NVIDIA's for JetPack 6 is called."""


def test_a_wheel_of_onnxruntime_for_another_machine_is_reported(
    laptop: Laptop, tmp_path: Path
) -> None:
    (tmp_path / GPU).touch()
    done = laptop.deploy("--target", "jetson", "--dry-run", "--wheel", tmp_path / GPU)
    assert done.status == 1
    assert f"{GPU} is not for its Python 3.13 on x86_64" in done.out


def test_a_jetsons_python_takes_nvidias_wheel_and_has_pins_for_all_that_it_needs() -> None:
    jetson = Python((3, 10), "aarch64", (2, 35))
    assert jetson.takes(Path(GPU))
    assert not jetson.takes(Path(GPU.replace("cp310", "cp312")))
    assert not jetson.takes(Path(GPU.replace("aarch64", "x86_64")))
    pins = artifacts.pins(jetson, runtime=True, named=True, assets=())
    names = {pin.name for pin in pins.needed}
    assert names > {"numpy", "flatbuffers", "protobuf", "sympy", "coloredlogs"}
    assert "onnxruntime" not in names


def test_only_the_pinned_wheel_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the right name with other content is thrown away; pip's index is away."""
    here = Python((3, 13), "x86_64", (2, 41))
    pins = {pin.name: pin for pin in artifacts.pins(here, False, False, ()).needed}
    wheel = tmp_path / here.name / f"click-{pins['click'].version}-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_text("another's")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DeployError, match="cannot be fetched"):
        Wheelhouse(tmp_path, here).fetch([pins["click"]])
    assert not wheel.exists()


def test_a_wheel_in_the_users_own_folder_is_never_deleted(tmp_path: Path) -> None:
    here = Python((3, 13), "x86_64", (2, 41))
    pins = {pin.name: pin for pin in artifacts.pins(here, False, False, ()).needed}
    wheel = tmp_path / here.name / f"click-{pins['click'].version}-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_text("their own")
    with pytest.raises(DeployError, match=f"{wheel.name}: is not the file that is pinned"):
        Wheelhouse(tmp_path, here, named=True).fetch([pins["click"]])
    assert wheel.read_text() == "their own"


def test_a_wheel_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, content = Python((3, 13), "x86_64", (2, 41)), b"a wheel"
    wheel = tmp_path / here.name / "click-8.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(content)
    pin = Pin("click", "8.0", frozenset({file_hash(wheel)}))
    read: list[Path] = []

    def counted(file: Path) -> str:
        read.append(file)
        return file_hash(file)

    monkeypatch.setattr("edgefer_device.deploy.wheels.file_hash", counted)
    assert Wheelhouse(tmp_path, here).fetch([pin]) == read == [wheel]


def test_a_coral_runs_its_model_where_its_library_and_a_file_for_it_are_there(
    laptop: Laptop, tmp_path: Path
) -> None:
    device, bundle = laptop.device, write_edgetpu_bundle(tmp_path / "bundle")
    device.check("mkdir -p /boot/firmware; touch /boot/firmware/config.txt")
    runs = 'set runtime = "edgetpu" in /etc/edgefer/edgefer.toml'
    assert runs not in planned(laptop, "rpi-coral", "--model", str(bundle))
    place = device.files / "usr/lib/x86_64-linux-gnu"
    build_library(place)
    device.check("ldconfig")
    try:
        assert runs in planned(laptop, "rpi-coral", "--model", str(bundle))
        # The shipped one was compiled by nobody: it stays on the processor.
        assert runs not in planned(laptop, "rpi-coral")
    finally:
        device.check("rm /usr/lib/x86_64-linux-gnu/libedgetpu.so.1; ldconfig")


def test_a_broker_gets_its_settings_and_the_daemon_its_login(laptop: Laptop) -> None:
    changes = planned(laptop, "debian", "--broker")
    assert "write /etc/mosquitto/conf.d/edgefer.conf" in changes
    assert 'set mqtt.user = "edgefer" in /etc/edgefer/edgefer.toml' in changes

    def sinks(*words: str) -> list[str]:
        changes = planned(laptop, "debian", *words, given='camera = "demo:"\n')
        return [line for line in changes if "sinks" in line or "mqtt" in line]

    assert sinks() == []
    local = 'set sinks = ["mirror:", "mqtt://127.0.0.1/edgefer"] in /etc/edgefer/edgefer.toml'
    assert local in sinks("--broker")


def test_a_card_of_something_else_is_reported(laptop: Laptop) -> None:
    laptop.device.check("rm -rf /boot/firmware")
    done = laptop.edgefer(
        *("deploy", "--target", "rpi", "--host", laptop.address, "--wheel", laptop.wheel),
        "--dry-run",
    )
    assert done.status == 1
    assert "/boot/firmware/config.txt is missing: is this a Raspberry Pi's card?" in done.out


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_model_is_cut_to_what_a_target_runs(name: str, tmp_path: Path) -> None:
    model = model_for(TARGETS[name], "small")
    file = tmp_path / "model.zip"
    file.write_bytes(model.content)
    bundle = open_bundle(file)
    assert set(bundle.manifest.files) == {*model.formats, "labels", "card"}
    assert bundle.contents["int8"] == open_bundle("small").contents["int8"]
    assert model_for(TARGETS[name], "small").sha256 == model.sha256
    assert len(model.content) < 6e6


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("rollback", "--host", "x", "--watch", "-3"), "-3.0 is not in the range x>=0"),
        (("rollback", "--host", ""), "nothing: no address of a host; expected [USER@]HOST"),
        (("fleet", "status", "--broker", "mqtt://x", "--seconds", "nan"), "nan is no number"),
        (
            ("fleet", "status", "--broker", "http://a:b@x"),
            "no address of a broker; expected mqtt://",
        ),
    ],
)
def test_wrong_numbers_and_addresses(words: tuple[str, ...], complaint: str) -> None:
    done = CliRunner().invoke(main, words)
    assert done.exit_code in (1, 2)
    assert complaint in done.stderr


def test_wrong_settings_are_reported_before_anything_is_connected(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[mirror]\nlangage = "de"\n')
    words = ["--host", "nowhere.invalid", "--settings", str(settings)]
    done = CliRunner().invoke(main, ["deploy", "--target", "rpi", *words])
    assert done.exit_code == 1
    key = "unknown key 'mirror.langage'; did you mean 'mirror.language'?"
    assert done.stderr.strip() == f"edgefer: {settings}: {key}"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--target", "debian"), "name devices by --host, or an inventory"),
        (("--host", "x"), "say what they are: --target"),
        (("--target", "pie", "--host", "x"), "'pie' is not one of"),
        (("--deadline", "-5"), "-5.0 is not in the range x>=1"),
        (("--deadline", "nan"), "nan is no number"),
        (("--watch", "-3"), "-3.0 is not in the range x>=0"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], complaint: str) -> None:
    done = CliRunner().invoke(main, ["deploy", *words])
    assert done.exit_code == 2
    assert complaint in done.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--host", "a b"), "a b: no address of a host; expected [USER@]HOST[:PORT]"),
        (("--host", "pi:secret@mirror"), "mirror: no address of a host; expected "),
        (("--host", "x", "--model", "none"), "none: no such model bundle; shipped models: "),
        (("--host", "x", "--settings", "none.toml"), "none.toml: no such file"),
        (("--host", "x", "--secret", "password"), "--secret password: expected mqtt-password="),
        (
            ("--host", "x", "--wheel", "none.whl"),
            "none.whl: no wheel of edgefer or onnxruntime; expected edgefer-VERSION-...whl or ",
        ),
    ],
)
def test_what_is_wrong_on_this_side_is_reported_before_anything_is_connected(
    words: tuple[str, ...], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    log = ("--log", str(tmp_path / "log"))
    done = CliRunner().invoke(main, ["deploy", "--target", "debian", *log, *words])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"edgefer: {line}")
    assert done.stderr.count("\n") == 1
