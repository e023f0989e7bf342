"""Connect to a broker, and explain its refusals."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from edgefer_device.sinks.mqtt.broker import Broker

TIMEOUT_SECONDS = 5.0
"""For each answer of the broker."""
KEEPALIVE_SECONDS = 15
"""Between pings; a broker that vanished is noticed after one and a half of these."""
FINAL = {132, 133, 134, 135, 138, 140}
"""Reason codes of MQTT 5 that waiting does not change: protocol version, client identifier, user
or password, authorization, a ban, authentication method. Those of 3.1.1 are mapped to these."""
NOT_YET_VALID = 9
"""OpenSSL's code for a certificate from the future: a board without a clock just started."""


@contextlib.asynccontextmanager
async def connection(
    broker: Broker,
    will: aiomqtt.Will | None = None,
    timeout: float = TIMEOUT_SECONDS,
    identifier: str | None = None,
) -> AsyncIterator[aiomqtt.Client]:
    """Connect to a broker; `timeout` is for each of its answers, seconds.

    With an `identifier` the broker ends an older connection of the same; None takes a random one.

    Entering it connects, encrypts and logs in, or raises `aiomqtt.MqttError`, which `refusal`
    explains.
    """
    versions = {"3.1.1": aiomqtt.ProtocolVersion.V311, "5": aiomqtt.ProtocolVersion.V5}
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.user,
        password=broker.password,
        identifier=identifier,
        protocol=versions[broker.version],
        tls_context=broker.tls,
        will=will,
        timeout=timeout,
        keepalive=KEEPALIVE_SECONDS,
    )

    def close(ended: asyncio.Future[None] | None = None) -> None:
        if ended is not None and not ended.cancelled():
            ended.exception()  # asyncio complains of errors that are never retrieved
        client._client._sock_close()

    # After a packet that paho cannot read, aiomqtt 2.5 leaves the socket open and watched: paho
    # takes nothing more from it, and the loop would call paho for ever.
    client._disconnected.add_done_callback(close)
    try:
        async with client:
            yield client
    finally:
        close()


def refusal(error: aiomqtt.MqttError) -> str:
    """Return in words why a connection failed."""
    if isinstance(error, MqttConnectError):
        # The text is `[code:135] Not authorized`.
        return f"refuses: {str(error).partition('] ')[2]}"
    cause = error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"has a certificate that cannot be trusted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        reason = (cause.reason or str(cause)).lower().replace("_", " ")
        return f"cannot be reached by TLS: {reason}"
    return f"cannot be reached: {getattr(cause, 'strerror', None) or error}"


def is_final(error: aiomqtt.MqttError) -> bool:
    """Return whether waiting changes nothing: the settings or the broker are wrong."""
    if isinstance(error, MqttConnectError):
        code = error.rc.value if isinstance(error.rc, ReasonCode) else error.rc
        return code in FINAL
    cause = error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_code != NOT_YET_VALID
    return False
