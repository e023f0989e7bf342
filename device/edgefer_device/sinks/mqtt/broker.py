"""The `[mqtt]` table and a broker's address: how it is reached, and which topics are ours."""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec

from edgefer.errors import SettingsError
from edgefer.files import is_public
from edgefer.text_files import read_text
from edgefer_device.system.address import ESCAPES, Url, label_of
from edgefer_device.system.paths import machine_id, user_path

PORTS = {"mqtt": 1883, "mqtts": 8883}
"""By scheme: a broker's usual port."""
LONGEST_TOPIC = 65_000
"""Bytes: MQTT allows 65,535, and ours go on below their prefix."""
USER, PASSWORD = "EDGEFER_MQTT_USER", "EDGEFER_MQTT_PASSWORD"
"""Environment variables for user and password where nothing else sets them."""


class MqttSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[mqtt]` table, for every broker of a configuration."""

    user: str | None = None
    """User name; one in the address takes precedence."""
    password_file: str | None = None
    """File whose first line is the password."""
    ca: str | None = None
    """PEM file of the broker's certificate authority; None: the system's."""
    certificate: str | None = None
    """PEM file of a client certificate, where the broker requires one."""
    key: str | None = None
    """PEM file of its private key; None: it is in `certificate`."""
    insecure: bool = False
    """Whether to accept any certificate."""
    version: Literal["3.1.1", "5"] = "3.1.1"
    """Protocol version."""
    qos: Literal[0, 1, 2] = 1
    """Quality of service of what is published: 0 at most, 1 at least, 2 exactly once."""
    discovery: str = "homeassistant"
    """Home Assistant's discovery prefix; "" publishes no discovery."""
    name: str = ""
    """Name of the device there; "": the last level of its topic."""
    commands: bool = True
    """Whether the broker may pause, set the threshold and restart."""
    max_rate: Annotated[float, msgspec.Meta(gt=0, le=30)] = 1.0
    """States a second at most; what comes between is left out, a pause never waits."""

    def __post_init__(self) -> None:
        if self.key and not self.certificate:
            raise ValueError("key needs its certificate beside it")
        if self.discovery:
            check_topic("discovery", self.discovery)
            if " " in self.discovery or "" in self.discovery.split("/"):
                # Home Assistant would listen elsewhere.
                raise ValueError(
                    "discovery must be without spaces and without a slash at an end, "
                    f"got '{self.discovery}'"
                )

    @property
    def encrypts(self) -> bool:
        """Whether a setting here requires an encrypted connection."""
        return bool(self.ca or self.certificate or self.insecure)


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker and the prefix of our topics there."""

    host: str
    port: int
    prefix: str
    """Without a slash at the end."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)
    """None: not encrypted."""
    version: Literal["3.1.1", "5"] = "3.1.1"
    qos: int = 1

    @property
    def name(self) -> str:
        """Host and port, for messages; never the password."""
        return f"{self.host}:{self.port}"

    @property
    def client(self) -> str:
        """Client identifier: this machine's for this topic, at most 23 letters (MQTT 3.1.1)."""
        whose = f"{machine_id()} {self.prefix}".encode()
        return f"edgefer-{hashlib.sha256(whose).hexdigest()[:12]}"

    def topic(self, name: str) -> str:
        """Return one of our topics: `state`, `availability`, `privacy/set`..."""
        return f"{self.prefix}/{name}"


def check_topic(name: str, topic: str) -> None:
    """Raise ValueError for a topic that nothing can be published on (MQTT 5.0, 4.7)."""
    if not topic or not topic.isprintable() or set("+#") & set(topic):
        raise ValueError(f"{name} must be a topic to publish on, without + and #: {topic!r}")
    if len(topic.encode()) > LONGEST_TOPIC:
        raise ValueError(f"{name} must be a topic of at most {LONGEST_TOPIC} bytes")


def parse_broker(uri: str, settings: MqttSettings | None = None) -> Broker:
    """Read `mqtt[s]://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC`; raise `SettingsError`.

    User and password may hold %-escapes; where the address names none, they come from the
    settings or the environment. The text of an error never shows them.
    """
    settings = settings or MqttSettings()
    scheme = "mqtts" if uri.startswith("mqtts:") else "mqtt"
    if uri.partition(":")[0] not in PORTS:
        raise SettingsError(
            f"{label_of(uri)}: no address of a broker; expected mqtt:// or mqtts://"
        )
    shown = label_of(uri)
    form = f"{scheme}://[USER:PASSWORD@]HOST[:PORT]/TOPIC"
    url = Url.parse(uri, form)
    prefix = url.path.strip("/")
    if uri.endswith("#"):
        prefix += "#"
    if not url.plain:
        raise SettingsError(f"{shown}: nothing may follow the topic; {ESCAPES}")
    if not prefix:
        raise SettingsError(f"{shown}: expected {form}, such as {scheme}://localhost/home/mirror")
    try:
        check_topic("its path", prefix)
    except ValueError as exc:
        raise SettingsError(f"{shown}: {exc}") from None
    if scheme == "mqtt" and settings.encrypts:
        raise SettingsError(
            f"{shown}: is not encrypted, but [mqtt] sets certificates; write mqtts://"
        )
    user, password = login(settings)
    if url.user is not None:
        # Another user's password would be of no use to this one.
        user = url.user
        password = url.password if url.password is not None else password
    tls = tls_context(settings) if scheme == "mqtts" else None
    return Broker(
        url.host,
        url.port or PORTS[scheme],
        prefix,
        user,
        password,
        tls,
        settings.version,
        settings.qos,
    )


def risks(broker: Broker, settings: MqttSettings) -> Iterator[str]:
    """Yield in words how a stranger may get at what goes to a broker."""
    from edgefer_device.web.access import is_loopback

    if broker.tls is None and broker.password is not None and not is_loopback(broker.host):
        yield "the password goes over the network unencrypted; write mqtts://"
    if broker.tls is not None and settings.insecure:
        yield "insecure = true accepts any certificate; name the broker's authority with ca"
    for name in (settings.password_file, settings.key or settings.certificate):
        if name is not None and is_public(path := user_path(name)):
            yield f"every user of this machine may read {path}; run: chmod o-rwx {path}"


def login(
    settings: MqttSettings, environment: Mapping[str, str] = os.environ
) -> tuple[str | None, str | None]:
    """Return user and password of the table or the environment.

    Raises `SettingsError` for a file that cannot be read; its text never shows the password.
    """
    user = settings.user or environment.get(USER)
    if settings.password_file is None:
        return user, environment.get(PASSWORD)
    path = user_path(settings.password_file)
    lines = read_text(path).splitlines()
    if not lines or not lines[0]:
        raise SettingsError(f"{path}: expected the password in its first line, which is empty")
    return user, lines[0]


def tls_context(settings: MqttSettings) -> ssl.SSLContext:
    """Return the TLS context (1.2 or later); raise `SettingsError` for a bad file."""
    context = _trusting(settings.ca)
    context.sslsocket_class = _Socket
    if settings.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if settings.certificate is not None:
        own = user_path(settings.certificate)
        key = None if settings.key is None else user_path(settings.key)
        try:
            # Without this a locked key would be asked for at the terminal.
            context.load_cert_chain(own, key, password=lambda: "")
        except OSError as exc:
            files = f"{own}, {key}" if key else str(own)
            raise SettingsError(
                f"{files}: not a certificate and its unlocked key in PEM: {_why(exc)}"
            ) from None
    return context


class _Socket(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho 2.2 leaks it then."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _trusting(ca: str | None) -> ssl.SSLContext:
    path = None if ca is None else user_path(ca)
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as exc:
        raise SettingsError(f"{path}: not a certificate authority in PEM: {_why(exc)}") from None


def _why(error: OSError) -> str:
    """Return the reason without OpenSSL's own line numbers."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "unknown form").lower().replace("_", " ")
    return str(error.strerror)
