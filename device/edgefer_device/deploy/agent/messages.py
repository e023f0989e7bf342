"""What `edgefer deploy` and this agent send each other, and the records kept on a device, as JSON.

Both sides import this module, so that a field is named and typed once. A field that the other
side does not know is ignored, one that it does not send has its default.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

Message = TypeVar("Message")
PLAIN = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
"""How refusals call the types of values."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the device outside of a release."""

    path: str
    """Where it goes, from /."""
    mode: int
    sha256: str | None
    """Of its content; None: there is no such file."""


@dataclass(frozen=True, slots=True)
class Checks:
    """When a release counts as healthy."""

    deadline: float = 60.0
    """Seconds within which it must become healthy."""
    watch: float = 90.0
    """Seconds for which it must stay so before the switch is committed."""
    inferences: int = 5
    """Frames that it must have analysed."""
    state: str = "/var/lib/edgefer"
    """The daemon's state folder, where its control socket is."""
    camera: bool = True
    """Whether there is a camera; declared absent, the daemon may be waiting for one."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a switch brings; staged/change.json."""

    release: str
    files: tuple[File, ...]
    units: tuple[str, ...]
    """The services to start, the daemon last."""
    checks: Checks
    action: Literal["deploy", "rollback"] = "deploy"


@dataclass(frozen=True, slots=True)
class UndoRecord:
    """How everything was before a switch; undo.json."""

    before: str | None
    """The release that ran; None: there was none."""
    after: str
    """The one that is switched to."""
    files: tuple[File, ...]
    """How the files were that it changes."""
    units: tuple[str, ...]
    """The services that it starts."""
    enabled: tuple[str, ...]
    """Those of them that were not started at boot before."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a switch ended; outcome.json, and a line of history.jsonl."""

    result: Literal["committed", "rolled back", "refused"]
    reason: str | None = None
    """Why not, in words; None where it was committed."""
    action: Literal["deploy", "rollback", "recover"] = "deploy"
    release: str | None = None
    before: str | None = None
    """The release that ran before."""
    token: str | None = None
    """What the switch was started with."""
    time: int = 0
    """When it ended, seconds of the epoch."""
    seconds: float = 0.0
    undone_in: float | None = None
    """Seconds that a rollback took."""
    now: str | None = None
    """What runs after a rollback, in words."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A release; release.json. One that was made by hand has none, and so little is known of it."""

    id: str
    version: str | None = None
    model: str | None = None
    model_sha256: str | None = None
    formats: tuple[str, ...] = ()
    target: str | None = None
    python: str | None = None
    made: int | None = None
    """Seconds of the epoch."""
    bases: tuple[str, ...] = ()
    """The environments that it stands on."""
    wheels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Releases:
    """The releases of a device; the JSON of `edgefer fleet releases --json` adds its host."""

    running: str | None
    pending: str | None
    """The release of a switch that is not committed yet."""
    outcome: Outcome | None
    """How the last switch ended."""
    releases: tuple[Manifest, ...]
    """The newest first."""


@dataclass(frozen=True, slots=True)
class Part:
    """How one part of the daemon is."""

    ok: bool
    note: str | None = None


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """What is needed of `edgefer status --json`."""

    ok: bool
    paused: bool
    camera: str
    camera_open: bool
    analysed: int
    page: str | None
    """Address of the mirror page."""
    parts: dict[str, Part]
    version: str | None = None
    mood: str | None = None

    @property
    def faults(self) -> str:
        """The parts that do not work, in words; empty where all do."""
        return "; ".join(f"{name}: {part.note}" for name, part in self.parts.items() if not part.ok)


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was measured fastest on a device; tuned.json, keys of the configuration."""

    runtime: str
    threads: int


def to_json(message: Any) -> str:
    """Return a message as one line of JSON."""
    return json.dumps(asdict(message))


def from_json(kind: type[Message], text: str | bytes) -> Message:
    """Return the message in a JSON text; raise `ValueError` where it is none of this kind."""
    try:
        message: Message = decoded(kind, json.loads(text))
    except json.JSONDecodeError as exc:
        raise ValueError(f"got {str(text)[:60]!r}") from exc
    except RecursionError as exc:
        raise ValueError("tables are nested too deep") from exc
    return message


def decoded(kind: Any, value: Any) -> Any:
    """Return what JSON's plain `value` means as a type; raise `ValueError` where it is another."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (UnionType, Union):
        return None if value is None else decoded(arguments[0], value)
    if origin is Literal:
        _require(value in arguments, value, " or ".join(map(str, arguments)))
        return value
    if origin is tuple:
        _require(isinstance(value, list), value, "a list")
        return tuple(decoded(arguments[0], item) for item in value)
    if origin is dict:
        _require(isinstance(value, dict), value, "an object")
        return {key: decoded(arguments[1], item) for key, item in value.items()}
    if is_dataclass(kind) and isinstance(kind, type):
        _require(isinstance(value, dict), value, "an object")
        missing = [one.name for one in fields(kind) if one.name not in value and _required(one)]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        known = _hints(kind).items()
        return kind(**{name: decoded(hint, value[name]) for name, hint in known if name in value})
    # Python takes True for a number; JSON writes 5 for 5.0.
    plain = (int, float) if kind is float else kind
    fits = isinstance(value, plain) and isinstance(value, bool) == (kind is bool)
    _require(fits, value, PLAIN[kind])
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _require(holds: bool, value: Any, expected: str) -> None:
    if not holds:
        raise ValueError(f"expected {expected}, got {str(value)[:40]}")
