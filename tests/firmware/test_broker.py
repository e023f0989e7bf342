"""The broker's settings in a real Mosquitto: who comes in, by which door, and to which topics."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from edgefer.errors import BrokerError
from edgefer.messages import Report
from edgefer_device.sinks.mqtt.broker import MqttSettings, parse_broker
from edgefer_device.sinks.mqtt.sink import MqttSink
from support.certificates import Authority
from support.firmware_files import FIRMWARE, run
from support.mosquitto import Mosquitto, executable, free_port

SOURCE = FIRMWARE / "mosquitto"
PATIENCE = 10.0
"""Seconds that a message may take on a busy machine."""
PASSWORDS = {"edgefer": "right", "homeassistant": "house"}


class Shipped(Mosquitto):
    """A Mosquitto with the shipped files: their paths led to a folder, their ports to free ones."""

    tls_port: int = 0

    def start(self) -> None:
        self.tls_port = free_port()
        self.settings = self._led(SOURCE / "edgefer.conf") + self._led(SOURCE / "edgefer-tls.conf")
        # The shipped lines have a listener of their own; this one is the frame's.
        super().start()

    def _led(self, source: Path) -> str:
        text = source.read_text().replace("/etc/mosquitto", str(self.folder))
        text = text.replace("listener 8883", f"listener {self.tls_port}")
        # Started by root it would drop root's rights, and could not read the folder.
        return text.replace("listener 1883 127.0.0.1", "user root")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[Shipped]:
    (tmp_path / "certs").mkdir()
    pair = authority.sign("edgefer")
    pair.certificate.rename(tmp_path / "certs" / "edgefer.pem")
    pair.key.rename(tmp_path / "certs" / "edgefer.key")
    passwords = tmp_path / "edgefer.passwd"
    passwords.write_text("".join(f"{user}:{word}\n" for user, word in PASSWORDS.items()))
    assert run(executable("mosquitto_passwd"), "-U", passwords).status == 0
    assert "right" not in passwords.read_text()
    acl = tmp_path / "edgefer.acl"
    acl.write_bytes((SOURCE / "edgefer.acl").read_bytes())
    for file in (passwords, acl):
        file.chmod(0o600)
    with Shipped(tmp_path).running() as mosquitto:
        assert isinstance(mosquitto, Shipped)
        yield mosquitto


def enter(uri: str, settings: MqttSettings) -> None:
    """Come in as the daemon does, and publish; raise `BrokerError` where we are refused."""

    async def whole() -> None:
        async with MqttSink(parse_broker(uri, settings)) as sink:
            await sink.publish(Report(1.0, 10, (), "happy", 0.8))
            assert sink.fault is None

    asyncio.run(whole())


def test_it_listens_to_this_machine_alone() -> None:
    lines = (SOURCE / "edgefer.conf").read_text().splitlines()
    assert [line for line in lines if line.startswith("listener")] == ["listener 1883 127.0.0.1"]


def test_who_names_nobody_is_refused(broker: Shipped) -> None:
    with pytest.raises(BrokerError, match=r"refus|authori"):
        enter(f"mqtt://127.0.0.1:{broker.port}/edgefer", MqttSettings())


def test_a_wrong_password_is_refused(broker: Shipped) -> None:
    with pytest.raises(BrokerError, match=r"refus|authori"):
        enter(f"mqtt://edgefer:wrong@127.0.0.1:{broker.port}/edgefer", MqttSettings())


def test_the_right_password_is_let_in(broker: Shipped) -> None:
    enter(f"mqtt://edgefer:right@127.0.0.1:{broker.port}/edgefer", MqttSettings())


def test_other_machines_come_in_encrypted(broker: Shipped, authority: Authority) -> None:
    uri = f"mqtts://edgefer:right@127.0.0.1:{broker.tls_port}/edgefer"
    enter(uri, MqttSettings(ca=str(authority.path)))
    with pytest.raises(BrokerError, match="cannot be trusted"):
        enter(uri, MqttSettings())
    with pytest.raises(BrokerError, match=r"refus|authori"):
        enter(uri.replace("right", "wrong"), MqttSettings(ca=str(authority.path)))


def test_an_old_tls_is_refused(broker: Shipped) -> None:
    old = (
        "openssl",
        "s_client",
        "-tls1_1",
        "-cipher",
        "DEFAULT@SECLEVEL=0",
        "-connect",
        f"127.0.0.1:{broker.tls_port}",
    )
    new = ("openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{broker.tls_port}")
    assert run("timeout", "5", *old).status == 1
    assert "Cipher is ECDHE" in run("sh", "-c", f"{' '.join(new)} </dev/null").out


def test_each_user_has_its_topics(broker: Shipped) -> None:
    """The mirror cannot read what else goes through the house; the house sees the mirror."""

    async def heard(user: str) -> list[str]:
        topics: list[str] = []
        async with client(broker, user) as listener, client(broker, "homeassistant") as house:
            await listener.subscribe("#")
            await house.publish("edgefer/seen", "1")
            await house.publish("homeassistant/other", "1")
            await house.publish("homeassistant/status", "online")
            await asyncio.wait_for(until_the_last(listener, topics), PATIENCE)
        return topics

    assert asyncio.run(heard("edgefer")) == ["edgefer/seen", "homeassistant/status"]
    everything = ["edgefer/seen", "homeassistant/other", "homeassistant/status"]
    assert asyncio.run(heard("homeassistant")) == everything


def heard_of(broker: Shipped, user: str, topics: list[str]) -> list[str]:
    """Publish to topics as a user; return those that arrive, by the house's ear."""

    async def whole() -> list[str]:
        heard: list[str] = []
        async with client(broker, "homeassistant") as house, client(broker, user) as own:
            await house.subscribe("#")
            for topic in topics:
                await own.publish(topic, "1", qos=1)
            await house.publish("homeassistant/status", "online")
            await asyncio.wait_for(until_the_last(house, heard), PATIENCE)
        return heard[:-1]

    return asyncio.run(whole())


def test_a_mirror_commands_no_other_and_not_itself(broker: Shipped) -> None:
    commands = [f"edgefer/{name}/set" for name in ("privacy", "restart", "hall", "hall/privacy")]
    foreign = ["edgefer/hall/state", "homeassistant/device/edgefer_edgefer_hall/config"]
    own = ["edgefer/state", "homeassistant/device/edgefer_edgefer/config"]
    assert heard_of(broker, "edgefer", [*commands, *foreign, *own]) == own
    assert heard_of(broker, "homeassistant", commands) == commands


def test_the_topics_of_documented_rules_are_let_through(broker: Shipped) -> None:
    named = (FIRMWARE / "common" / "edgefer.toml", FIRMWARE.parent / "docs" / "content.md")
    topics = [re.findall(r'mqtt = \{ topic = "(.*?)"', path.read_text()) for path in named]
    for (topic,) in topics:
        assert heard_of(broker, "edgefer", [topic]) == [topic]


async def until_the_last(listener: aiomqtt.Client, topics: list[str]) -> None:
    async for message in listener.messages:
        topics.append(str(message.topic))
        if topics[-1] == "homeassistant/status":
            return


def client(broker: Shipped, user: str) -> aiomqtt.Client:
    return aiomqtt.Client(broker.host, broker.port, username=user, password=PASSWORDS[user])
