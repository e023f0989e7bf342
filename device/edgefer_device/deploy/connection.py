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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import Self

from edgefer.errors import CommandFailed, HostRefused, HostUnreachable
from edgefer.files import home_folder
from edgefer_device.deploy.inventory import Access, Host

CLOSING_SECONDS = 5
"""For the connection to end after what ran on it was cut off; its thread ends a moment later."""
KEEPALIVE_SECONDS = 10
"""Between two keepalives; a host that acknowledges none for three times as long is lost."""

SMALL = 65536
"""Bytes up to which a file goes through a command's stdin: in one step, and not through /tmp,
where others could read a secret."""
BEGIN = "edgefer-begin"
"""The line of stdin behind sudo's password; a sudo that asks for none leaves both to be skipped."""
SKIP = f'while IFS= read -r line && [ "$line" != {BEGIN} ]; do :; done\n'
PUT = (Path(__file__).parent / "scripts" / "put_file.sh").read_text()
Report = Callable[[str], None]
"""Takes a line of progress."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds until a host is given up."""

    connect: float = 15
    handshake: float = 90
    """For SSH's greeting, keys and login: a small board that is busy needs longer for them than
    the network needs to reach it."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of stderr, or else of stdout."""
        lines = [line for line in (self.err.strip() or self.out.strip()).splitlines() if line]
        return lines[-1].strip() if lines else f"status {self.status}"


class Remote(Protocol):
    """A host on which commands run as root."""

    def run(self, script: str, action: str, report: Report | None = None) -> str:
        """Run a shell script; return its stdout, each line also reported.

        Raises `CommandFailed`, with `action` in its message, and `HostUnreachable`.
        """

    def send(self, content: bytes, place: str, mode: int) -> bool:
        """Put a file there unless it is there already; return whether it was sent."""


class Connection:
    """A `Remote` over SSH; entering connects and becomes root."""

    def __init__(self, host: Host, access: Access, timeouts: Timeouts = Timeouts()) -> None:
        self.host, self._access, self._timeouts = host, access, timeouts
        self._sudo, self._password = "", ""
        """What makes root of who logged in, and its password: that goes by stdin alone, for anyone
        on the device may read the arguments of a process."""

    def __enter__(self) -> Self:
        # Its annotations end halfway.
        api: Any = importlib.import_module("pyinfra.api")
        exceptions = importlib.import_module("pyinfra.api.exceptions")
        # It would ask a person about a jump host's key: that is trusted as the device's is, or not.
        client: Any = importlib.import_module("pyinfra.connectors.sshuserclient.client")
        accept_new = self._access.accept_new
        client.AskPolicy = client.AcceptNewPolicy if accept_new else client.StrictPolicy
        if accept_new:
            # It writes the key to known_hosts, and makes no folder for it.
            folder = home_folder("log in there once by ssh")
            (folder / ".ssh").mkdir(mode=0o700, exist_ok=True)
        inventory = api.Inventory(([(self.host.name, self._data())], {}))
        self._state = api.State(inventory, api.Config(CONNECT_TIMEOUT=self._timeouts.connect))
        self._peer: Any = next(iter(inventory))
        logging.getLogger("pyinfra").setLevel(logging.CRITICAL)
        with contextlib.ExitStack() as failed:
            failed.push(self.__exit__)
            self._connect(exceptions.ConnectError)
            self._keep_alive()
            self._become_root()
            failed.pop_all()
        return self

    def _connect(self, refusal: type[Exception]) -> None:
        try:
            self._peer.connect(show_errors=False, raise_exceptions=True)
        except refusal as exc:
            raise _refusal(self.host, exc, self._access, self._timeouts) from exc
        except Exception as exc:
            # paramiko raises what it likes for a server that speaks nonsense.
            raise HostUnreachable(f"{self.host}: {_text(exc)}", str(self.host)) from exc

    def __exit__(self, *_: object) -> None:
        # A host that was lost cannot be disconnected from.
        with contextlib.suppress(Exception):
            self._peer.disconnect()
        with contextlib.suppress(Exception):
            self._client.close()

    def run(self, script: str, action: str, report: Report | None = None) -> str:
        """Run a shell script as root; see `Remote`."""
        return self._checked(self._run(script, action, report=report), action)

    def send(self, content: bytes, place: str, mode: int) -> bool:
        """Put a file there unless it is there already; whole, or not at all."""
        action = f"sending {place}"
        variables = {
            "place": place,
            "folder": place.rpartition("/")[0] or "/",
            "digest": sha256(content).hexdigest(),
            "mode": f"{mode:o}",
        }
        script = shell_variables(variables) + PUT
        small = len(content) <= SMALL
        stdin = [base64.b64encode(content).decode()] if small else []
        read = "read=yes\n" if small else "read=\n"
        done = self._checked(self._run(read + script, action, stdin), action)
        if not small and done == "missing":
            self._upload(content, f"{place}.part", action)
            done = self.run(read + script, action)
        if done == "missing":
            raise CommandFailed(f"{self.host}: {action}: no room left", 1)
        return done == "sent"

    def _upload(self, content: bytes, place: str, action: str) -> None:
        """Send a file by SFTP: where sudo makes root, to /tmp, and root copies it from there."""
        with self._translated(action):
            upload = self._peer.get_temp_filename() if self._sudo else place
            if not self._peer.put_file(io.BytesIO(content), upload):
                raise CommandFailed(f"{self.host}: {action}: no room, or not allowed there", 1)
        if upload != place:
            remove = shlex.quote(f"rm -f {shlex.quote(upload)}")
            copy = f"cp {shlex.quote(upload)} {shlex.quote(place)}"
            self.run(f"trap {remove} EXIT\n{copy}", action)

    def _checked(self, done: Completed, action: str) -> str:
        if done.status:
            raise CommandFailed(f"{self.host}: {action}: {done.last}", done.status)
        return done.out

    def _run(
        self,
        script: str,
        action: str,
        stdin: Sequence[str] = (),
        report: Report | None = None,
    ) -> Completed:
        """Run a script as root, once it is known how to become it, else as who logged in."""
        api: Any = importlib.import_module("pyinfra.api")
        command = f'( {script}\n); echo "edgefer-status $?"'
        if self._password:
            command, stdin = SKIP + command, [self._password, BEGIN, *stdin]
        if self._sudo:
            command = f"{self._sudo} sh -c {shlex.quote(command)}"
        with self._translated(action), _echoed(report):
            _, out = self._peer.run_shell_command(
                api.StringCommand(command),
                print_output=report is not None,
                _stdin=list(stdin),
            )
        lines = out.stdout_lines
        # sudo, or the shell itself, may fail before the script has begun.
        if not lines or not lines[-1].startswith("edgefer-status "):
            self._require_alive(action)
            return Completed(1, out.stdout, out.stderr)
        return Completed(int(lines[-1].split()[1]), "\n".join(lines[:-1]), out.stderr)

    @contextlib.contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        from paramiko import SSHException
        from pyinfra.api.exceptions import PyinfraError

        try:
            yield
        except (SSHException, OSError, EOFError, PyinfraError) as exc:
            if isinstance(exc, EOFError) and (transport := self._client.get_transport()):
                transport.join(CLOSING_SECONDS)
            self._require_alive(action)
            raise CommandFailed(f"{self.host}: {action}: {_text(exc)}", 1) from exc

    @property
    def _client(self) -> Any:
        return self._peer.connector.client

    def _require_alive(self, action: str) -> None:
        transport = self._client.get_transport()
        if transport is None or not transport.is_active():
            text = "the device runs what it ran, or rolls back by itself: deploy again"
            raise HostUnreachable(
                f"{self.host}: connection lost while {action}; {text}", str(self.host)
            )

    def _keep_alive(self) -> None:
        transport = self._client.get_transport()
        transport.set_keepalive(KEEPALIVE_SECONDS)
        if isinstance(transport.sock, socket.socket):
            limit = 3000 * KEEPALIVE_SECONDS  # milliseconds (tcp(7))
            transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limit)

    def _become_root(self) -> None:
        if self._run("id -u", "looking up the user").out.strip() == "0":
            return
        password = self._access.sudo_password
        without = self._run("sudo -n true", "trying sudo")
        if without.status == 0:
            self._sudo = "sudo -H -n"
            return
        if "not found" in without.err:
            raise HostRefused(f"{self.host}: has no sudo: log in as root, or install sudo there")
        if password is None:
            raise HostRefused(
                f"{self.host}: sudo asks for a password: give --ask-sudo-password, or set "
                "EDGEFER_SUDO_PASSWORD"
            )
        self._sudo, self._password = "sudo -H -k -S -p ''", password
        tried = self._run("true", "trying sudo")
        if tried.status:
            user = self.host.user or "this user"
            reason = "may not use sudo, or its password is wrong"
            raise HostRefused(f"{self.host}: {user} {reason}: {tried.last.removeprefix('sudo: ')}")

    def _data(self) -> dict[str, Any]:
        access = self._access
        given: dict[str, Any] = {
            "ssh_user": self.host.user,
            "ssh_port": self.host.port,
            "ssh_key": str(access.key) if access.key else None,
            "ssh_password": access.password,
            "ssh_paramiko_connect_kwargs": {
                "banner_timeout": self._timeouts.handshake,
                "auth_timeout": self._timeouts.handshake,
                "transport_factory": partial(_patient, self._timeouts.handshake),
            },
        }
        strict = {"ssh_strict_host_key_checking": "accept-new" if access.accept_new else "yes"}
        return {key: value for key, value in given.items() if value is not None} | strict


def _patient(seconds: float, *args: Any, **options: Any) -> Any:
    """Return paramiko's transport with more time than its 15 s for a handshake."""
    from paramiko import Transport

    class Patient(Transport):
        def start_client(self, event: Any = None, timeout: float | None = None) -> None:
            self.handshake_timeout = seconds
            super().start_client(event, timeout and seconds)

    return Patient(*args, **options)


def _refusal(host: Host, exc: Exception, access: Access, timeouts: Timeouts) -> HostUnreachable:
    """Return why there is no connection, and what to do."""
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
        text = f"its SSH did not finish greeting in {timeouts.handshake:g} s: is it very busy?"
    else:
        text = _text(cause or exc)
    return HostUnreachable(f"{host}: {text}", str(host))


def shell_variables(values: Mapping[str, str]) -> str:
    """Return lines of shell that set variables."""
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def _text(exc: BaseException) -> str:
    """Return the first line of an error; of those of several addresses, the first."""
    if errors := getattr(exc, "errors", None):  # of paramiko's NoValidConnectionsError
        exc = next(iter(errors.values()))
    reason = exc.strerror if isinstance(exc, OSError) else None
    return (reason or str(exc).strip() or type(exc).__name__).splitlines()[0]


@contextlib.contextmanager
def _echoed(report: Report | None) -> Iterator[None]:
    """Report what a command prints as it comes."""
    from pyinfra.api import output

    def echo(message: object = None, **_: object) -> None:
        line = str(message).strip()
        if report is not None and "edgefer-status" not in line:
            report(line.partition("] ")[2] or line)

    output.set_echo(echo)
    try:
        yield
    finally:
        output.set_echo(lambda *_, **__: None)
