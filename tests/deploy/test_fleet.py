"""Many devices in one file: who gets what, in which order, and how they are."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import aiomqtt
import pytest

from deploy.conftest import Laptop, covered
from edgefer.errors import SettingsError
from edgefer_device.deploy.inventory import Entry, read_inventory
from support.mosquitto import Mosquitto, free_port

FLEET = """
wave = 2
pause = 1

[defaults]
target = "rpi"
settings.mirror.language = "de"

[groups.hall]
hosts = ["pi@one.local", "pi@two.local"]
settings.mirror.name = "Hall"

[groups.lab]
hosts = ["pi@two.local:2222", "jo@three"]
target = "debian"
camera = false

[hosts."pi@two.local"]
settings.mirror.name = "Two"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "fleet.toml"
    file.write_text(text)
    return file


def test_the_nearer_word_goes_before(tmp_path: Path) -> None:
    inventory = read_inventory(written(tmp_path, FLEET))
    found = inventory.entries()
    assert list(found) == ["pi@one.local", "pi@two.local", "pi@two.local:2222", "jo@three"]
    hall = {"mirror": {"language": "de", "name": "Hall"}}
    assert found["pi@one.local"] == Entry(target="rpi", settings=hall)
    assert found["pi@two.local"].settings["mirror"]["name"] == "Two"
    assert (found["jo@three"].target, found["jo@three"].camera) == ("debian", False)
    assert list(inventory.entries(("lab",))) == ["pi@two.local:2222", "jo@three"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("wave = 0\n", "wave must be at least 1, got 0"),
        (
            "[groups.a]\nhost = ['x']\n",
            "unknown key 'groups.a.host'; did you mean 'groups.a.hosts'?",
        ),
        ("[defaults]\ntarget = 'rpi'\n", "names no host; write [groups.NAME]"),
        ("[groups.a]\nhosts = ['x']\n", "x: target must be one of debian, rpi, rpi-coral, jetson"),
        (
            "[groups.a]\nhosts = ['x']\ntarget = 'rpi'\nsettings.mirror.langage = 'de'\n",
            "x: settings: unknown key 'mirror.langage'",
        ),
        ("[groups.a]\nhosts = ['x:y']\ntarget = 'rpi'\n", "x:y: no address of a host"),
    ],
)
def test_a_file_that_cannot_be_used_is_reported(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as told:
        read_inventory(written(tmp_path, text))
    assert complaint in str(told.value)


BARRIER = (
    "[ $1 = -s ] || exec /run/uname $*; touch /run/looks/$$; "
    "for i in $(seq 600); do [ $(ls /run/looks | wc -l) -ge 10 ] && exec /run/uname $*; sleep 0.5; "
    "done; exit 1"
)
"""In place of `uname`, which each look asks for the system: nobody is told it before ten ask."""


def test_ten_devices_are_inspected_at_once(laptop: Laptop) -> None:
    names = [f"m{number}" for number in range(10)]
    config = laptop.home / ".ssh" / "config"
    config.write_text(f"Host m?\n  HostName 127.0.0.1\n  Port {laptop.device.port}\n  User pi\n")
    # One server stands for ten: its own limits, on logins under way and on an address from which
    # logins failed, are for one. Restarted, for a reload returns before it listens again.
    drop = "/etc/ssh/sshd_config.d/many.conf"
    limits = "MaxStartups 50\\nPerSourcePenalties no\\n"
    laptop.device.check(f"printf '{limits}' >{drop}; systemctl restart ssh")
    laptop.device.check("cp /usr/bin/uname /run/uname; mkdir /run/looks")
    try:
        hosts = [word for name in names for word in ("--host", name)]
        with covered(laptop.device, "/usr/bin/uname", BARRIER):
            done = laptop.deploy("--dry-run", *hosts)
    finally:
        config.unlink()
    assert done.status == 0, done.out + done.err
    # Whether something was deployed there before, decides which of both it is.
    ended = re.findall(r"^(\S+) +(?:unchanged   |would change)  ", done.out, re.MULTILINE)
    assert ended == names


def test_after_a_wave_that_failed_the_rest_is_not_tried(deployed: Laptop, tmp_path: Path) -> None:
    away = [f"pi@127.0.0.1:{free_port()}" for _ in range(2)]
    hosts = json.dumps([deployed.address, *away])
    file = written(
        tmp_path,
        f'wave = 1\npause = 600\n[groups.all]\nhosts = {hosts}\ntarget = "debian"\n'
        'settings.camera = "demo:"\nsettings.sinks = ["mirror:"]\n',
    )
    words = ("--inventory", file, "--offline", "--wheel", deployed.wheel, "--dry-run")
    done = deployed.edgefer("deploy", *words)
    assert done.status == 1
    first, second, third = (line.split(maxsplit=2) for line in done.out.splitlines())
    assert first[:2] == [deployed.address, "unchanged"]
    assert second[:2] == [away[0], "failed"]
    # Nothing was brought to the first wave, so that there is nothing to pause for.
    assert "the next in 600 s" not in done.err
    assert third == [away[1], "not", "tried     a wave before failed"]


def test_status_over_ssh(deployed: Laptop, tmp_path: Path) -> None:
    away = f"pi@127.0.0.1:{free_port()}"
    file = written(
        tmp_path, f'[groups.all]\nhosts = ["{deployed.address}", "{away}"]\ntarget = "debian"\n'
    )
    done = deployed.edgefer("fleet", "status", "--inventory", file, "--json")
    assert done.status == 1
    one, other = (json.loads(line) for line in done.out.splitlines())
    assert (one["device"], one["ok"]) == (deployed.address, True)
    assert one["release"] == deployed.running()
    assert (other["device"], other["ok"]) == (away, False)
    assert other["note"].startswith("does not answer")


def test_the_releases_of_a_fleet_are_listed_though_one_is_away(
    deployed: Laptop, tmp_path: Path
) -> None:
    away = f"pi@127.0.0.1:{free_port()}"
    hosts = json.dumps([away, deployed.address])
    file = written(tmp_path, f'[groups.all]\nhosts = {hosts}\ntarget = "debian"\n')
    done = deployed.edgefer("fleet", "releases", "--inventory", file, "--json")
    assert done.status == 1
    assert json.loads(done.out)["running"] == deployed.running()
    assert done.err.startswith(f"edgefer: {away}: does not answer")
    assert done.err.count("\n") == 1


def test_status_over_mqtt(laptop: Laptop, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    with broker.running():
        said = {
            "home/hall/availability": "online",
            "home/hall/state": '{"mood": "happy", "problem": null, "paused": false}',
            "home/hall/diagnostics": '{"version": "0.1.0"}',
            "home/bath/availability": "offline",
            "home/bath/state": '{"mood": null, "problem": null, "paused": false}',
            "zigbee/lamp/availability": "online",
            "zigbee/lamp/state": "ON",
        }
        publish(broker, said)
        address = f"mqtt://127.0.0.1:{broker.port}"
        done = laptop.edgefer("fleet", "status", "--broker", address, "--json", "--seconds", 1)
        assert done.status == 1
        found = {one["device"]: one for one in map(json.loads, done.out.splitlines())}
        assert list(found) == ["home/bath", "home/hall"]
        hall = found["home/hall"]
        assert (hall["ok"], hall["mood"], hall["version"]) == (True, "happy", "0.1.0")
        assert (found["home/bath"]["ok"], found["home/bath"]["note"]) == (False, "offline")
        one = laptop.edgefer("fleet", "status", "--broker", f"{address}/home/hall", "--seconds", 1)
        assert (one.status, one.out.split()) == (
            0,
            ["home/hall", "ok", "0.1.0", "happy", "online"],
        )


def publish(broker: Mosquitto, said: dict[str, str]) -> None:
    """Have a broker keep what devices say."""

    async def tell() -> None:
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:
            for topic, payload in said.items():
                await client.publish(topic, payload, qos=1, retain=True)

    asyncio.run(tell())
