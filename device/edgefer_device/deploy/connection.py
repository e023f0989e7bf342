"""One host over SSH, as root: pyinfra connects, finds sudo's way and carries files.

pyinfra's errors end here: what leaves is a `HostUnreachable`, `HostRefused` or `CommandFailed`.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import io
import logging
import shlex
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import Self

from edgefer.errors import CommandFailed, HostRefused, HostUnreachable
from edgefer_device.deploy.hosts import Access, Host

CONNECT_SECONDS = 15
HANDSHAKE_SECONDS = 90
"""For SSH's greeting, keys and login: a small board that is busy needs longer for them than the
network needs to reach it."""
ENDING_SECONDS = 5
"""For the connection to end after what ran on it was cut off; its thread ends a moment later."""
ALIVE_SECONDS = 10
"""Between two signs of life to a host; one that takes none for three times as long is gone."""

SMALL = 65536
"""Bytes up to which a file goes through the command's own input: in one step, and by no way through
/tmp, where others could read a secret."""
PUT = r"""
set -e
is_there() { [ -f "$1" ] && [ "$(sha256sum <"$1" | cut -d' ' -f1)" = "$digest" ]; }
if is_there "$place" && [ "$(stat -c %a "$place")" = "$mode" ]; then
    echo same
    exit
fi
mkdir -p "$folder"
[ -z "$read" ] || (umask 077 && base64 -d >"$place.part")
is_there "$place.part" || { echo "no room left" >&2; exit 1; }
chmod "$mode" "$place.part"
sync "$place.part"
mv "$place.part" "$place"
echo sent
"""
Report = Callable[[str], None]
"""Takes a line for whoever watches."""


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of what it complained, or else said."""
        lines = [line for line in (self.err.strip() or self.out.strip()).splitlines() if line]
        return lines[-1].strip() if lines else f"status {self.status}"


class Remote(Protocol):
    """A host that can be told to do something, as root."""

    def run(self, script: str, doing: str, report: Report | None = None) -> str:
        """Run a shell script; return what it said, each line also reported.

        Raises `CommandFailed`, with `doing` in its message, and `HostUnreachable`.
        """
        ...

    def send(self, content: bytes, place: str, mode: int) -> bool:
        """Put a file there unless it is there already; return whether it was sent."""
        ...


class Connection:
    """A `Remote` over SSH; entering connects and makes sure of root's rights."""

    def __init__(self, host: Host, access: Access) -> None:
        self.host, self._access = host, access
        self._root: dict[str, Any] = {}

    def __enter__(self) -> Self:
        # Its annotations end halfway.
        api: Any = importlib.import_module("pyinfra.api")
        exceptions = importlib.import_module("pyinfra.api.exceptions")
        # A jump host's key it would ask a person for: that is believed as the device's is, or not.
        ways: Any = importlib.import_module("pyinfra.connectors.sshuserclient.client")
        ways.AskPolicy = ways.AcceptNewPolicy if self._access.accept_new else ways.StrictPolicy
        if self._access.accept_new:
            # It writes the key to known_hosts, and makes no folder for it.
            Path("~/.ssh").expanduser().mkdir(mode=0o700, exist_ok=True)
        inventory = api.Inventory(([(self.host.name, self._data())], {}))
        self._state = api.State(inventory, api.Config(CONNECT_TIMEOUT=CONNECT_SECONDS))
        self._peer: Any = next(iter(inventory))
        logging.getLogger("pyinfra").setLevel(logging.CRITICAL)
        try:
            self._peer.connect(show_errors=False, raise_exceptions=True)
        except exceptions.ConnectError as exc:
            raise _refusal(self.host, exc, self._access) from exc
        except Exception as exc:
            # paramiko raises what it likes for a server that speaks nonsense.
            raise HostUnreachable(f"{self.host}: {_text(exc)}", str(self.host)) from exc
        self._keep_alive()
        self._become_root()
        return self

    def __exit__(self, *_: object) -> None:
        # A host that vanished cannot be told goodbye.
        with contextlib.suppress(Exception):
            self._peer.disconnect()
        with contextlib.suppress(Exception):
            self._client.close()

    def run(self, script: str, doing: str, report: Report | None = None) -> str:
        """Run a shell script as root; see `Remote`."""
        said = self._run(script, doing, self._root, report)
        if said.status:
            raise CommandFailed(f"{self.host}: {doing}: {said.last}", said.status)
        return said.out

    def send(self, content: bytes, place: str, mode: int) -> bool:
        """Put a file there unless it is there already; whole, or not at all."""
        doing = f"sending {place}"
        small = len(content) <= SMALL
        stdin = [base64.b64encode(content).decode()] if small else None
        if not small:
            if self._has(content, place):
                return False
            with self._translated(doing):
                if not self._peer.put_file(io.BytesIO(content), f"{place}.part", **self._root):
                    raise CommandFailed(f"{self.host}: {doing}: no room, or not allowed there", 1)
        words = {
            "place": place,
            "folder": place.rpartition("/")[0] or "/",
            "digest": sha256(content).hexdigest(),
            "mode": f"{mode:o}",
            "read": "yes" if small else "",
        }
        head = "".join(f"{name}={shlex.quote(value)}\n" for name, value in words.items())
        said = self._run(
            head + PUT, doing, {**self._root, "_stdin": stdin} if stdin else self._root
        )
        if said.status:
            raise CommandFailed(f"{self.host}: {doing}: {said.last}", said.status)
        return said.out.strip() == "sent"

    def _has(self, content: bytes, place: str) -> bool:
        """Whether a file is there already; where it has to go there is a folder afterwards."""
        folder = shlex.quote(place.rpartition("/")[0] or "/")
        script = f"mkdir -p {folder}; sha256sum <{shlex.quote(place)}"
        found = self._run(script, f"looking at {place}", self._root)
        return found.status == 0 and found.out.split()[0] == sha256(content).hexdigest()

    def _run(
        self, script: str, doing: str, rights: dict[str, Any], report: Report | None = None
    ) -> Said:
        api: Any = importlib.import_module("pyinfra.api")
        with self._translated(doing), _overheard(report):
            _, out = self._peer.run_shell_command(
                api.StringCommand(f'( {script}\n); echo "edgefer-status $?"'),
                print_output=report is not None,
                **rights,
            )
        lines = out.stdout_lines
        # sudo, or the shell itself, may fail before the script has begun.
        if not lines or not lines[-1].startswith("edgefer-status "):
            if not self._alive:
                self._vanished(doing)
            return Said(1, out.stdout, out.stderr)
        return Said(int(lines[-1].split()[1]), "\n".join(lines[:-1]), out.stderr)

    @contextlib.contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        from paramiko import SSHException
        from pyinfra.api.exceptions import ConnectError

        try:
            yield
        except (SSHException, OSError, EOFError, ConnectError) as exc:
            if isinstance(exc, EOFError) and (transport := self._client.get_transport()):
                transport.join(ENDING_SECONDS)
            if not self._alive:
                self._vanished(doing)
            raise CommandFailed(f"{self.host}: {doing}: {_text(exc)}", 1) from exc

    @property
    def _client(self) -> Any:
        return self._peer.connector.client

    @property
    def _alive(self) -> bool:
        transport = self._client.get_transport()
        return transport is not None and transport.is_active()

    def _vanished(self, doing: str) -> None:
        raise HostUnreachable(
            f"{self.host}: vanished while {doing}; the device runs what it ran, or goes back to it "
            "by itself: deploy again",
            str(self.host),
        )

    def _keep_alive(self) -> None:
        transport = self._client.get_transport()
        transport.set_keepalive(ALIVE_SECONDS)
        if isinstance(transport.sock, socket.socket):
            limit = 3000 * ALIVE_SECONDS  # milliseconds (tcp(7))
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit)

    def _become_root(self) -> None:
        if self._run("id -u", "asking who we are", {}).out.strip() == "0":
            return
        password = self._access.sudo_password
        without = self._run("sudo -n true", "asking for sudo", {})
        if without.status == 0:
            self._root = {"_sudo": True}
            return
        if "not found" in without.err:
            raise HostRefused(f"{self.host}: has no sudo: log in as root, or install sudo there")
        if password is None:
            raise HostRefused(
                f"{self.host}: sudo asks for a password: give --ask-sudo-password, or set "
                "EDGEFER_SUDO_PASSWORD"
            )
        self._root = {"_sudo": True, "_sudo_password": password}
        tried = self._run("true", "asking for sudo", self._root)
        if tried.status:
            user = self.host.user or "this user"
            reason = "may not use sudo, or its password is wrong"
            raise HostRefused(f"{self.host}: {user} {reason}: {_sudo_words(tried)}")

    def _data(self) -> dict[str, Any]:
        access = self._access
        given: dict[str, Any] = {
            "ssh_user": self.host.user,
            "ssh_port": self.host.port,
            "ssh_key": str(access.key) if access.key else None,
            "ssh_password": access.password,
            "ssh_paramiko_connect_kwargs": {
                "banner_timeout": HANDSHAKE_SECONDS,
                "auth_timeout": HANDSHAKE_SECONDS,
                "transport_factory": _patient,
            },
        }
        strict = {"ssh_strict_host_key_checking": "accept-new" if access.accept_new else "yes"}
        return {key: value for key, value in given.items() if value is not None} | strict


def _patient(*args: Any, **options: Any) -> Any:
    """Return paramiko's transport with more time than its 15 s for a handshake."""
    from paramiko import Transport

    class Patient(Transport):
        def start_client(self, event: Any = None, timeout: float | None = None) -> None:
            self.handshake_timeout = HANDSHAKE_SECONDS
            super().start_client(event, timeout and HANDSHAKE_SECONDS)

    return Patient(*args, **options)


def _refusal(host: Host, exc: Exception, access: Access) -> HostUnreachable:
    """Report why there is no connection, and what to do."""
    from paramiko import AuthenticationException, BadHostKeyException, SSHException

    cause = exc.__context__
    if isinstance(cause, BadHostKeyException) or "host key error" in str(exc):
        text = "its host key is not the one in known_hosts: if it was installed anew, ssh-keygen -R"
        text = f"{text} {host.name}"
    elif isinstance(cause, AuthenticationException) or "authentication methods" in str(cause):
        how = "the password is wrong" if access.password else "no key is accepted"
        text = f"{how}: give --key FILE or --ask-password, and the right user"
    elif isinstance(cause, socket.gaierror):
        text = "no such host: check its name"
    elif "known_hosts" in str(cause):
        port = f"-p {host.port} " if host.port else ""
        text = (
            f"its host key is unknown: compare it, then log in once with: ssh {port}{host.name} "
            "(or --accept-new-host-key)"
        )
    elif isinstance(cause, (TimeoutError, OSError)) and not isinstance(cause, SSHException):
        text = f"does not answer: {_text(cause)}; is it on, and in this network?"
    elif "No existing session" in str(cause) or "protocol banner" in str(cause):
        text = f"its SSH did not finish greeting in {HANDSHAKE_SECONDS} s: is it very busy?"
    else:
        text = _text(cause or exc)
    return HostUnreachable(f"{host}: {text}", str(host))


def _sudo_words(said: Said) -> str:
    lines = [line for line in said.err.splitlines() if line.strip()]
    return lines[-1].removeprefix("sudo: ") if lines else "no word from sudo"


def _text(exc: BaseException) -> str:
    return (str(exc).strip() or type(exc).__name__).splitlines()[0]


_listening = threading.local()


@contextlib.contextmanager
def _overheard(report: Report | None) -> Iterator[None]:
    """Have what a command prints told as it comes."""
    from pyinfra.api import output

    def heard(message: object = None, **_: object) -> None:
        told = getattr(_listening, "report", None)
        line = str(message).strip()
        if told is not None and "edgefer-status" not in line:
            told(line.partition("] ")[2] or line)

    output.set_echo(heard)
    _listening.report = report
    try:
        yield
    finally:
        _listening.report = None
