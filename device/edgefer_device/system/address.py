"""Parse the addresses that choose cameras and sinks: `scheme:place?name=value&name=value`.

The options of a scheme are a dataclass whose fields are annotated with their parsers:

    @dataclass(frozen=True, slots=True)
    class ClipOptions:
        rate: Annotated[float, number(1, 240)] = 30.0

    address = parse_address("file:clip.mkv?rate=5", "camera", {"file": "file:PATH[?rate=30]"})
    options = address.read(ClipOptions)

Every error is a `SettingsError` that names what is accepted. A URL is shown by `redacted` only, and
taken apart by `Url.parse` only: no user, password or query reaches a message, a log or a repr.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import unquote, urlsplit

from typing_extensions import Self

from edgefer.errors import SettingsError

T = TypeVar("T")
Parser = Callable[[str], Any]
"""Parses a value; raises a `ValueError` whose text completes "must be ..."."""

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
"""By unit: its length in seconds."""
LAST_PORT = 65535
LONGEST = 400
"""Letters of an address as it is shown."""
HIDDEN = "***"
SECRET = re.compile(
    r"(?<![\w-])([\w-]{0,64}(?:pass|pw|token|secret)[\w-]{0,64}=)(\"[^\"]*\"|\S+)", re.IGNORECASE
)
"""A property of a pipeline's element that holds a secret, such as rtspsrc's `user-pw=`; without
the bounds a long word takes seconds."""
ESCAPES = "in a user or password write / as %2F, ? as %3F and # as %23; in a path or query @ as %40"


@dataclass(frozen=True, slots=True)
class Address:
    """One parsed address."""

    scheme: str
    place: str = field(repr=False)
    """What stands between the scheme and the options: a path, a host, a URL; may be empty."""
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    """As written; `read` checks and converts them."""
    label: str = ""
    """The address as errors show it: without user, password and a URL's query."""

    def read(self, kind: type[T], *beside: type[Any]) -> T:
        """Return the options as `kind`, a dataclass of `Annotated` fields.

        Refuses options that neither `kind` nor a dataclass `beside` it declares.
        """
        known = [one.name for each in (kind, *beside) for one in fields(each)]
        for name in self.options:
            if name not in known:
                raise SettingsError(
                    f"{self.label}: unknown option '{name}'; known: {', '.join(known) or 'none'}"
                )
        return kind(**self._values(kind))

    def _values(self, kind: type[Any]) -> dict[str, Any]:
        values = {}
        for name, hint in get_type_hints(kind, include_extras=True).items():
            if name not in self.options or get_origin(hint) is not Annotated:
                continue
            text, parse = self.options[name], get_args(hint)[1]
            try:
                values[name] = parse(text)
            except ValueError as exc:
                raise SettingsError(f"{self.label}: '{name}' must be {exc}, got '{text}'") from None
        return values

    def refuse_place(self) -> None:
        """Refuse a place where the scheme has none."""
        if self.place:
            found = label_of(self.place)
            raise SettingsError(f"{self.label}: '{self.scheme}:' takes no path; got '{found}'")

    def host_and_port(self, usual: tuple[str, int]) -> tuple[str, int]:
        """Return where to listen: the place is `HOST:PORT`, `:PORT` or empty."""
        if not self.place:
            return usual
        host, _, port = self.place.rpartition(":")
        fits = port.isdecimal() and int(port) <= LAST_PORT and re.fullmatch(r"[\w.:%\[\]-]*", host)
        if not fits:
            example = f"{self.scheme}:{usual[0]}:{usual[1]}"
            raise SettingsError(
                f"{self.label}: expected {self.scheme}:HOST:PORT, such as {example}"
            )
        return host.strip("[]") or usual[0], int(port)


def parse_address(
    uri: str, kind: str, forms: Mapping[str, str], urls: Collection[str] = ()
) -> Address:
    """Parse an address of a `kind` ("camera", "sink").

    `forms` maps each accepted scheme to how it is written. In the schemes of `urls` the place is a
    URL, with the scheme (`rtsp://...`) or behind it (`webhook:https://...`): there a `?` belongs to
    the server, and options stand behind `#`.
    """
    scheme, colon, rest = uri.partition(":")
    label = label_of(uri)
    if not colon or scheme not in forms:
        known = ", ".join(dict.fromkeys(forms.values()))
        raise SettingsError(f"unknown {kind} '{label}'; known: {known}")
    _refuse_ambiguous(uri)
    if scheme in urls:
        place, _, query = (rest if re.match(r"\w+://", rest) else uri).partition("#")
    else:
        place, mark, query = rest.rpartition("?")
        # What does not look like options belongs to the path: `file:what?.mp4`.
        if not mark or (query and not re.match(r"\w+(=|&|$)", query)):
            place, query = rest, ""
    pairs = (item.partition("=") for item in query.split("&") if item)
    return Address(scheme, place, {name: value for name, _, value in pairs}, label)


@dataclass(frozen=True, slots=True)
class Url:
    """A URL taken apart, %-escapes decoded; its text and repr show no secret."""

    host: str
    port: int | None
    path: str
    """With its slash, without query and fragment; may be empty."""
    user: str | None = field(repr=False)
    password: str | None = field(repr=False)
    plain: bool
    """Whether neither query nor fragment follows the path."""

    @classmethod
    def parse(cls, text: str, form: str) -> Self:
        """Take a URL apart, `webhook:` before it or not.

        Raises `SettingsError`, which shows `form`, for one without a host or that is ambiguous.
        """
        _refuse_ambiguous(text)
        try:
            text.encode()
            parts = urlsplit(text.removeprefix("webhook:"))
            host, port = parts.hostname, parts.port
        except ValueError:  # whose text repeats what may be a password; or it is not UTF-8
            host, port = None, None
        if not host:
            raise SettingsError(f"{label_of(text)}: no valid host or port; expected {form}")
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        plain = not parts.query and not parts.fragment
        return cls(host, port, unquote(parts.path), user, password, plain)


def label_of(address: str) -> str:
    """Return an address as errors begin with it: redacted, a very long one without its middle."""
    shown, half = redacted(address), LONGEST // 2
    return shown if len(shown) <= LONGEST else f"{shown[:half]} ... {shown[-half:]}"


def redacted(text: str) -> str:
    """Return an address, or a text that holds some, as people may see it.

    A URL is shown without user, password, query and fragment; a `name=value` in its path, where
    some cameras want the password, without the value; a webhook's without its path.
    """
    head, mark, rest = text.partition("://")
    head, more = SECRET.sub(rf"\1{HIDDEN}", head), ""
    if not mark:
        return head
    if re.search(r"\s", head):  # a pipeline or a sentence, not an address alone
        rest, space, more = re.split(r"(\s|$)", rest, maxsplit=1)
        more = space + redacted(more)
    shown = _shown(rest)
    return f"{head}://{shown.partition('/')[0] if head.startswith('webhook:') else shown}{more}"


def _shown(rest: str) -> str:
    """Return what stands behind a URL's `://` without its secrets."""
    if _is_ambiguous(rest):
        return HIDDEN
    server, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    server = server.rpartition("@")[2]
    # Without "@", what is no port may be the password of someone who forgot the host.
    server = re.sub(r":(?!\d*$)[^:\]]*$", f":{HIDDEN}", server)
    return server + slash + re.sub(r"=[^/&]*", f"={HIDDEN}", path)


def _refuse_ambiguous(text: str) -> None:
    if _is_ambiguous(text.partition("://")[2]):
        file = ", or use password_file" if text.startswith("mqtt") else ""
        raise SettingsError(f"{label_of(text)}: '@' stands behind the host; {ESCAPES}{file}")


def _is_ambiguous(rest: str) -> bool:
    """Return whether what stands behind `://` may hold a password with a `/`, `?` or `#` in it."""
    server = re.split(r"[/?#]", rest, maxsplit=1)[0]
    behind = rest[len(server) :]
    return "@" in behind and (":" in server or "@" in server or behind.startswith("#"))


def choice(*values: str) -> Parser:
    """Parse one of some words."""

    def parse(text: str) -> str:
        if text not in values:
            raise ValueError(" or ".join(values))
        return text

    return parse


def flag(text: str) -> bool:
    """Parse 0 or 1."""
    if text not in ("0", "1"):
        raise ValueError("0 or 1")
    return text == "1"


def number(least: float, most: float) -> Parser:
    """Parse a number within bounds."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise ValueError(f"a number from {least:g} to {most:g}")
        return value

    return parse


def count(least: int, most: int) -> Parser:
    """Parse a whole number within bounds."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def seconds(text: str) -> float:
    """Parse a span of time; without a unit it is in seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text)
    if match is None:
        raise ValueError("a time such as 500ms, 5s or 2m")
    return float(match[1]) * SECONDS[match[2]]
