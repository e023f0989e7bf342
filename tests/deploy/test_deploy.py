"""From a fresh Debian to a mirror that reads moods, on to what does not work there, and back."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.conftest import GOOD, Laptop
from rig.container import cable
from support.broken_wheels import altered, dying, no_model, telling_its_user, unimportable
from support.mosquitto import free_port

STATUS = "STATE_DIRECTORY=/var/lib/edgefer /opt/edgefer/current/bin/edgefer status --json"


def status(laptop: Laptop) -> dict[str, object]:
    """What the daemon says of itself."""
    told: dict[str, object] = json.loads(laptop.device.check(STATUS))
    return told


def test_a_dry_run_names_every_change_and_makes_none(laptop: Laptop) -> None:
    before = laptop.device.check("find / -xdev -newer /proc/1 -path '*edgefer*' | sort")
    done = laptop.deploy("--dry-run")
    assert done.status == 0, done.err
    for change in (
        "would make release ",
        "would write /etc/systemd/system/edgefer.service",
        "would write /etc/systemd/system/edgefer-release.service",
        'would set camera = "demo:" in /etc/edgefer/edgefer.toml',
    ):
        assert change in done.out
    assert laptop.device.check("find / -xdev -newer /proc/1 -path '*edgefer*' | sort") == before


def test_the_first_deployment_ends_with_a_mood(deployed: Laptop) -> None:
    device = deployed.device
    device.wait(
        'curl -sf http://127.0.0.1:8137/ || python3 -c "import urllib.request as u; '
        "u.urlopen('http://127.0.0.1:8137/')\""
    )
    told = status(deployed)
    assert told["ok"]
    assert told["camera"] == "demo:"
    assert device.property("edgefer", "NRestarts") == "0"
    assert "/opt/edgefer/current/bin/edgefer" in device.property("edgefer", "ExecStart")
    # What was installed by a hand that knows nothing of the service is not writable by it.
    assert device.check("stat -c %U /opt/edgefer/current/bin/edgefer").strip() == "root"
    licence = "find /opt/edgefer/bases -path '*face_detection*LICENSE*'"
    assert device.check(licence).strip()


def test_again_changes_nothing(deployed: Laptop) -> None:
    look = "cat /opt/edgefer/history.jsonl; stat -c '%n %Y' /opt/edgefer/* /etc/edgefer/*"
    before, pid = deployed.device.check(look), status(deployed)["pid"]
    done = deployed.deploy()
    assert done.status == 0, done.err
    assert "unchanged" in done.out
    assert deployed.device.check(look) == before
    assert status(deployed)["pid"] == pid


Broken = Callable[[Laptop, Path], tuple[object, ...]]
"""Makes something that cannot work, in a folder; returns the options that deploy it."""


def broken_wheel(laptop: Laptop, folder: Path) -> tuple[object, ...]:
    return ("--wheel", unimportable(laptop.wheel, folder))


def broken_model(_: Laptop, folder: Path) -> tuple[object, ...]:
    return ("--model", no_model(folder))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (broken_wheel, "the release does not start: ModuleNotFoundError: No module named 'clack'"),
        (broken_model, "model: .*not a TFLite model"),
    ],
)
def test_what_cannot_work_is_never_switched_to(
    deployed: Laptop, tmp_path: Path, broken: Broken, reason: str
) -> None:
    runs, pid = deployed.running(), status(deployed)["pid"]
    done = deployed.deploy(*broken(deployed, tmp_path))
    assert done.status == 1
    assert re.search(f"failed +{reason}.*; {runs} runs as before", done.out), done.out
    assert (deployed.running(), status(deployed)["pid"]) == (runs, pid)


def test_what_is_not_proven_yet_runs_as_the_services_user(deployed: Laptop, tmp_path: Path) -> None:
    done = deployed.deploy("--wheel", telling_its_user(deployed.wheel, tmp_path))
    user = deployed.device.check(f"stat -c %u /proc/{status(deployed)['pid']}").strip()
    assert user != "0"
    assert f"the release does not start: as user {user};" in done.out


def test_settings_for_a_camera_that_is_not_there_are_undone(deployed: Laptop) -> None:
    runs = deployed.running()
    before = deployed.device.check("cat /etc/edgefer/*.toml")
    done = deployed.deploy(settings=GOOD.replace("demo:", "v4l2:/dev/video7"))
    assert done.status == 1
    assert re.search(rf"failed +camera: .*{runs} runs as before", done.out), done.out
    assert deployed.device.check("cat /etc/edgefer/*.toml") == before
    assert status(deployed)["ok"]


def test_a_broker_that_is_not_there_is_reported_and_the_switch_undone(deployed: Laptop) -> None:
    runs = deployed.running()
    before = deployed.device.check("cat /etc/edgefer/*.toml")
    away = 'camera = "demo:"\nsinks = ["mirror:", "mqtt://127.0.0.1:9/edgefer"]\n'
    done = deployed.deploy("--deadline", 12, settings=away)
    assert done.status == 1
    assert re.search(rf"rolled back +mqtt.*not healthy within 12 s; {runs} runs", done.out), (
        done.out
    )
    assert deployed.device.check("cat /etc/edgefer/*.toml") == before
    assert status(deployed)["ok"]
    last = json.loads(deployed.device.check("cat /opt/edgefer/outcome.json"))
    assert last["undone_in"] < 30


def test_a_daemon_that_dies_while_it_is_watched_is_undone(deployed: Laptop, tmp_path: Path) -> None:
    runs = deployed.running()
    wheel = dying(deployed.wheel, tmp_path, 9)
    done = deployed.deploy("--wheel", wheel, "--watch", 20)
    assert done.status == 1
    ended = rf"rolled back +the service ended while it was watched: .*; {runs} runs"
    assert re.search(ended, done.out), done.out
    assert deployed.running() == runs
    assert status(deployed)["ok"]
    last = json.loads(deployed.device.check("cat /opt/edgefer/outcome.json"))
    assert last["undone_in"] < 30


def test_an_update_and_back_again(deployed: Laptop, tmp_path: Path) -> None:
    first = deployed.running()
    done = deployed.deploy("--model", "tiny")
    assert done.status == 0, done.out + done.err
    second = deployed.running()
    assert second != first
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(f'[groups.hall]\nhosts = ["{deployed.address}"]\ntarget = "debian"\n')
    words = ("--inventory", fleet, "--group", "hall")
    back = deployed.edgefer("rollback", *words, "--watch", 2)
    assert back.status == 0, back.out + back.err
    assert deployed.running() == first
    told = deployed.edgefer("fleet", "releases", "--host", deployed.address, "--json")
    table = json.loads(told.out)
    assert table["running"] == first
    assert {first, second} <= {one["id"] for one in table["releases"]}
    assert len(table["releases"]) <= 3
    shown = deployed.edgefer("fleet", "releases", "--host", deployed.address)
    assert f"* {first}" in shown.out


def test_what_somebody_set_on_the_device_stays(deployed: Laptop) -> None:
    device = deployed.device
    device.check("sed -i 's/^evening = .*/evening = \"21:00\"  # mine/' /etc/edgefer/edgefer.toml")
    done = deployed.deploy(settings=GOOD + '[mirror]\nevening = "20:00"\nname = "Ada"\n')
    assert done.status == 0, done.out + done.err
    assert 'keeps mirror.evening = "21:00", which was set on the device' in done.err
    text = device.check("cat /etc/edgefer/edgefer.toml")
    assert 'evening = "21:00"  # mine' in text
    assert re.search(r'^name = "Ada" ', text, re.MULTILINE)
    # What is no longer asked for goes back to what edgefer ships with.
    assert deployed.deploy().status == 0
    assert re.search(r'^name = "" ', device.check("cat /etc/edgefer/edgefer.toml"), re.MULTILINE)


def test_a_secret_is_for_the_service_alone(deployed: Laptop, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hush-hush")
    done = deployed.deploy("--secret", f"mqtt-password={secret}")
    assert done.status == 0, done.out + done.err
    device = deployed.device
    look = "stat -c '%a %U' /etc/edgefer/mqtt-password"
    assert device.check(look).strip() == "600 root"
    assert device.check("stat -c '%a %U' /etc/edgefer/deployed.toml").strip() == "600 root"
    assert device.ssh("cat /etc/edgefer/mqtt-password", user="guest").status != 0
    assert "hush-hush" not in done.out + done.err
    logs = [path.read_text() for path in deployed.home.rglob("*.log")]
    assert logs
    assert not any("hush-hush" in text for text in logs)


def test_a_switch_that_is_killed_is_undone_by_the_device(deployed: Laptop, tmp_path: Path) -> None:
    runs = deployed.running()
    file = "edgefer_device/daemon/supervisor.py"
    wheel = altered(deployed.wheel, tmp_path, file, "\ndef run(", "# another\n\n\ndef run(")
    killed = threading.Event()

    def kill() -> None:
        deployed.device.wait("test -e /opt/edgefer/undo/undo.json", seconds=300)
        deployed.device.check("systemctl kill --signal=KILL edgefer-switch")
        killed.set()

    killer = threading.Thread(target=kill)
    killer.start()
    done = deployed.deploy("--wheel", wheel, "--watch", 60)
    killer.join()
    assert killed.is_set()
    assert done.status == 1
    assert "the switch was killed, and was undone" in done.out
    assert deployed.running() == runs
    deployed.device.wait("systemctl is-active edgefer")


def test_a_cable_that_is_cut_during_the_switch_does_no_harm(fresh: Laptop) -> None:
    deployed, port = fresh, free_port()
    done = deployed.deploy()
    assert done.status == 0, done.out + done.err
    pulled = threading.Event()

    def pull() -> None:
        with cable(deployed.device, port):
            ready.set()
            deployed.device.wait("test -e /opt/edgefer/undo/undo.json", seconds=300)
        pulled.set()
        with cable(deployed.device, port):
            done_with_it.wait(300)

    ready, done_with_it = threading.Event(), threading.Event()
    hand = threading.Thread(target=pull)
    with deployed.known_as(port):
        hand.start()
        assert ready.wait(60)
        named = GOOD + '[mirror]\nname = "Ada"\n'
        words = ("--host", f"pi@127.0.0.1:{port}", "--watch", 15)
        done = deployed.deploy(*words, settings=named)
        done_with_it.set()
        hand.join()
    assert pulled.is_set()
    assert done.status == 0, done.out + done.err
    assert "connection lost during the switch, which goes on" in done.err
    assert 'name = "Ada"' in deployed.device.check("cat /etc/edgefer/edgefer.toml")
    assert status(deployed)["ok"]
