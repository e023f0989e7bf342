"""Where an MQTT broker is and what it wants to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from edgefer.errors import SettingsError

PORT = 1883


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker and the place on it that is ours."""

    host: str
    port: int
    prefix: str
    """What our topics begin with, without a slash at the end."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Host and port, for people; never the password."""
        return f"{self.host}:{self.port}"

    @property
    def state_topic(self) -> str:
        """Where the mood is, retained."""
        return f"{self.prefix}/state"

    @property
    def availability_topic(self) -> str:
        """Where `online` or `offline` is, retained."""
        return f"{self.prefix}/availability"


def parse_broker(uri: str) -> Broker:
    """Read `mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC`; raise `SettingsError`.

    User and password may hold %-escapes. The text of an error never shows them.
    """
    shown = "mqtt://" + uri.rpartition("@")[2].removeprefix("mqtt://")
    form = "mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC"
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port or PORT
    except ValueError as exc:
        raise SettingsError(f"{shown}: {exc}; expected {form}") from None
    prefix = parts.path.strip("/")
    if not host or not prefix or parts.query:
        raise SettingsError(f"{shown}: expected {form}, such as mqtt://localhost/home/mirror")
    if "+" in prefix or "#" in shown:
        raise SettingsError(f"{shown}: a topic to publish on cannot hold '+' or '#'")
    user = unquote(parts.username) if parts.username is not None else None
    password = unquote(parts.password) if parts.password is not None else None
    return Broker(host, port, prefix, user, password)
