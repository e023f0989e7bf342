"""Where an MQTT broker is, what it wants to know, and which topics on it are ours."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

from edgefer.errors import SettingsError
from edgefer_device.sinks.mqtt.settings import MqttSettings, encryption, login

PORTS = {"mqtt": 1883, "mqtts": 8883}
"""By scheme: where a broker listens unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker and the place on it that is ours."""

    host: str
    port: int
    prefix: str
    """What our topics begin with, without a slash at the end."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)
    """How to encrypt; None: nothing is encrypted."""
    version: Literal["3.1.1", "5"] = "3.1.1"
    qos: int = 1

    @property
    def name(self) -> str:
        """Host and port, for people; never the password."""
        return f"{self.host}:{self.port}"

    @property
    def state_topic(self) -> str:
        """Where the mood is, retained."""
        return f"{self.prefix}/state"

    @property
    def diagnostics_topic(self) -> str:
        """Where the daemon's own figures are, retained."""
        return f"{self.prefix}/diagnostics"

    @property
    def availability_topic(self) -> str:
        """Where `online` or `offline` is, retained."""
        return f"{self.prefix}/availability"

    def control_topic(self, control: str) -> str:
        """Where it is told how a control stands, retained."""
        return f"{self.prefix}/{control}"

    def command_topic(self, control: str) -> str:
        """Where it is asked for something else."""
        return f"{self.prefix}/{control}/set"


def is_broker(uri: str) -> bool:
    """Whether the address of a sink is that of a broker."""
    return uri.partition(":")[0] in PORTS


def parse_broker(uri: str, settings: MqttSettings | None = None) -> Broker:
    """Read `mqtt[s]://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC`; raise `SettingsError`.

    User and password may hold %-escapes; where the address names none, they come from the
    settings or the environment. The text of an error never shows them.
    """
    settings = settings or MqttSettings()
    scheme = "mqtts" if uri.startswith("mqtts:") else "mqtt"
    shown = f"{scheme}://" + uri.rpartition("@")[2].removeprefix(f"{scheme}://")
    form = f"{scheme}://[USER:PASSWORD@]HOST[:PORT]/TOPIC"
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port or PORTS[scheme]
    except ValueError as exc:
        raise SettingsError(f"{shown}: {exc}; expected {form}") from None
    prefix = parts.path.strip("/")
    if not host or not prefix or parts.query:
        raise SettingsError(f"{shown}: expected {form}, such as {scheme}://localhost/home/mirror")
    if "+" in prefix or "#" in shown:
        raise SettingsError(f"{shown}: a topic to publish on cannot hold '+' or '#'")
    if scheme == "mqtt" and settings.encrypts:
        raise SettingsError(
            f"{shown}: is not encrypted, but [mqtt] speaks of certificates; write mqtts://"
        )
    user, password = login(settings)
    if parts.username is not None:
        # Another user's password would be of no use to this one.
        user = unquote(parts.username)
        password = unquote(parts.password) if parts.password is not None else password
    tls = encryption(settings) if scheme == "mqtts" else None
    return Broker(host, port, prefix, user, password, tls, settings.version, settings.qos)
