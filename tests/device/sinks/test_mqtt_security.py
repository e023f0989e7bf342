"""Encryption and login: a real Mosquitto with a test authority's certificates."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from edgefer.errors import BrokerError, SettingsError
from edgefer.messages import Report
from edgefer_device.sinks.content.rule import Publication, Rule
from edgefer_device.sinks.content.sink import Actions
from edgefer_device.sinks.mqtt.broker import Broker, MqttSettings, login, parse_broker, risks
from edgefer_device.sinks.mqtt.sink import MqttSink
from support.certificates import Authority, Pair
from support.mosquitto import Mosquitto

HAPPY = Report(1.0, 10, (), "happy", 0.8)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def encrypted(folder: Path, pair: Pair, more: str = "") -> Mosquitto:
    # Started by root it would drop root's rights, and could not read the files.
    files = f"certfile {pair.certificate}\nkeyfile {pair.key}\n"
    return Mosquitto(folder, f"{files}{more}allow_anonymous true\nuser root\n")


@pytest.fixture
def tls_broker(tmp_path: Path, authority: Authority) -> Iterator[Mosquitto]:
    """A broker whose certificate the authority signed for 127.0.0.1."""
    with encrypted(tmp_path, authority.sign("broker")).running() as mosquitto:
        yield mosquitto


def address(mosquitto: Mosquitto, settings: MqttSettings) -> Broker:
    return parse_broker(f"mqtts://127.0.0.1:{mosquitto.port}/home/mirror", settings)


def connect(mosquitto: Mosquitto, settings: MqttSettings) -> str | None:
    """Publish something; return what troubles the sink."""

    async def whole() -> str | None:
        async with MqttSink(address(mosquitto, settings)) as sink:
            await sink.publish(HAPPY)
        return sink.fault

    return asyncio.run(whole())


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_broker_that_the_authority_vouches_for(
    tls_broker: Mosquitto, authority: Authority, version: str
) -> None:
    settings = MqttSettings(ca=str(authority.path), version=version)  # type: ignore[arg-type]  # one of the two
    assert connect(tls_broker, settings) is None


def test_a_broker_that_nobody_vouches_for_is_refused(tls_broker: Mosquitto) -> None:
    with pytest.raises(BrokerError) as refused:
        connect(tls_broker, MqttSettings())
    reason = "has a certificate that cannot be trusted: unable to get local issuer certificate"
    assert str(refused.value) == f"mqtt broker 127.0.0.1:{tls_broker.port} {reason}"


def test_it_is_taken_nevertheless_when_told_so(tls_broker: Mosquitto) -> None:
    assert connect(tls_broker, MqttSettings(insecure=True)) is None


def test_a_certificate_for_another_host_is_refused(tmp_path: Path, authority: Authority) -> None:
    pair = authority.sign("other", host="127.0.0.9")
    reason = r"cannot be trusted: IP address mismatch"
    with (
        encrypted(tmp_path, pair).running() as mosquitto,
        pytest.raises(BrokerError, match=reason),
    ):
        connect(mosquitto, MqttSettings(ca=str(authority.path)))


def test_a_certificate_from_the_future_is_waited_for(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    pair = authority.sign("early", starts=timedelta(days=2))
    with encrypted(tmp_path, pair).running() as mosquitto:
        fault = connect(mosquitto, MqttSettings(ca=str(authority.path)))
    assert fault is not None
    assert "not yet valid" in fault
    assert "trying again" in caplog.text


def test_our_own_certificate_lets_us_in(tmp_path: Path, authority: Authority) -> None:
    more = f"cafile {authority.path}\nrequire_certificate true\n"
    ours = authority.sign("mirror")
    vouched = MqttSettings(ca=str(authority.path))
    known = MqttSettings(
        ca=str(authority.path), certificate=str(ours.certificate), key=str(ours.key)
    )
    with encrypted(tmp_path, authority.sign("broker"), more).running() as mosquitto:
        assert connect(mosquitto, known) is None
        assert connect(mosquitto, vouched) is not None


def test_an_unencrypted_broker_is_told_in_words(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    fault = connect(broker, MqttSettings(insecure=True))
    assert fault is not None
    assert fault.startswith("the broker cannot be reached")


def test_a_rules_message_goes_the_same_way(tls_broker: Mosquitto, authority: Authority) -> None:
    settings = MqttSettings(ca=str(authority.path))
    rule = Rule(mqtt=Publication("lamp/set", "warm", retain=True))

    async def whole() -> None:
        actions = Actions(address(tls_broker, settings))
        actions.start(rule, "happy")
        while actions._tasks:
            await asyncio.sleep(0.01)
        await actions.close()

    asyncio.run(whole())
    logged = connect(tls_broker, settings)
    assert logged is None


def test_what_a_stranger_may_get_at_is_warned_of(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("right\n")
    secret.chmod(0o644)
    settings = MqttSettings(user="mirror", password_file=str(secret))
    plain = parse_broker("mqtt://broker.local/x", settings)
    assert list(risks(plain, settings)) == [
        "the password goes over the network unencrypted; write mqtts://",
        f"every user of this machine may read {secret}; run: chmod o-rwx {secret}",
    ]
    secret.chmod(0o640)
    assert len(list(risks(plain, settings))) == 1
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert list(risks(parse_broker(f"mqtt://me:secret@{host}/x"), MqttSettings())) == []
    assert list(risks(parse_broker("mqtt://broker.local/x"), MqttSettings())) == []
    careless = MqttSettings(insecure=True)
    (found,) = risks(parse_broker("mqtts://me:secret@broker.local/x", careless), careless)
    assert found.startswith("insecure = true accepts any certificate; ")
    assert list(risks(parse_broker("mqtts://me:secret@broker.local/x"), MqttSettings())) == []


def test_the_password_comes_from_a_file(locked_broker: Mosquitto, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("right\n")
    settings = MqttSettings(user="mirror", password_file=str(secret))
    uri = f"mqtt://127.0.0.1:{locked_broker.port}/x"

    async def whole() -> None:
        async with MqttSink(parse_broker(uri, settings)) as sink:
            assert sink.fault is None

    asyncio.run(whole())


def test_who_we_are_comes_from_the_address_the_table_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"EDGEFER_MQTT_USER": "env", "EDGEFER_MQTT_PASSWORD": "env's"}
    secret = tmp_path / "secret"
    secret.write_text("file's")
    from_file = MqttSettings(user="table", password_file=str(secret))
    assert login(MqttSettings(), {}) == (None, None)
    secret.write_bytes(b"\xef\xbb\xbffile's\r\n")
    assert login(MqttSettings(), environment) == ("env", "env's")
    assert login(from_file, environment) == ("table", "file's")
    assert os.environ.get("EDGEFER_MQTT_USER") is None
    broker = parse_broker("mqtt://me:mine@localhost/x", from_file)
    assert (broker.user, broker.password) == ("me", "mine")
    broker = parse_broker("mqtt://me@localhost/x", from_file)
    assert (broker.user, broker.password) == ("me", "file's")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "secret: no such file"),
        (b"", "secret: expected the password in its first line"),
        (b"geh\xe9im", "secret, line 1: expected UTF-8, got other bytes [^g]*$"),
    ],
)
def test_a_bad_password_file_is_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        parse_broker("mqtt://localhost/x", MqttSettings(password_file=str(secret)))


def test_bad_files_are_refused_in_one_line(tmp_path: Path, authority: Authority) -> None:
    uri, absent, text = "mqtts://localhost/x", tmp_path / "absent", tmp_path / "text"
    text.write_text("no certificate")
    pair, other = authority.sign("mirror"), authority.sign("other")
    for settings, message in (
        (MqttSettings(ca=str(absent)), r"absent: not a certificate authority in PEM: No such file"),
        (MqttSettings(ca=str(text)), r"text: not a certificate authority in PEM: no certificate"),
        (MqttSettings(certificate=str(absent)), r"absent: not a certificate and its .*: No such"),
        (MqttSettings(certificate=str(pair.certificate), key=str(other.key)), r"mismatch"),
    ):
        with pytest.raises(SettingsError, match=message) as refused:
            parse_broker(uri, settings)
        assert "\n" not in str(refused.value)


def test_certificates_without_encryption_are_a_contradiction(authority: Authority) -> None:
    with pytest.raises(SettingsError, match=r"is not encrypted.*write mqtts://"):
        parse_broker("mqtt://localhost/x", MqttSettings(ca=str(authority.path)))
    with pytest.raises(ValueError, match="key needs its certificate"):
        MqttSettings(key="x")


def test_an_encrypted_broker_has_a_port_of_its_own() -> None:
    assert parse_broker("mqtts://localhost/x").port == 8883
    assert parse_broker("mqtts://localhost/x").tls is not None
    assert parse_broker("mqtt://localhost/x").tls is None
