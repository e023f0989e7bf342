"""The licences of edgefer and of the installed packages that it stands on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

import msgspec

OURS = "edgefer"
NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class Package(msgspec.Struct, frozen=True):
    """One installed package."""

    name: str
    version: str
    licence: str
    """As its metadata has it: an SPDX expression, or in words; `unknown` where it has none."""


def package(name: str) -> Package | None:
    """Return an installed package, its name as indexes have it; None where it is not there."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    canonical = re.sub(r"[-_.]+", "-", name).lower()
    return Package(canonical, found.version, _licence(found.metadata))


def packages() -> list[Package]:
    """Return edgefer and every installed package that it asks for, by name.

    Those of the extra `dev`, which only tests use, are left out.
    """
    return sorted(_required(OURS, set()), key=lambda one: one.name.lower())


def _required(name: str, seen: set[str]) -> Iterator[Package]:
    one = package(name)
    if one is None or one.name in seen:
        return
    seen.add(one.name)
    yield one
    for requirement in metadata.requires(name) or ():
        needed, _, marker = requirement.partition(";")
        extra = re.search(r"extra == ['\"]([^'\"]+)", marker)
        if extra and (one.name != OURS or extra[1] == "dev"):
            continue
        match = NAME.match(needed.strip())
        if match is not None:
            yield from _required(match[0], seen)


def _licence(about: metadata.PackageMetadata) -> str:
    """Return the newest form of the three in which packages say it (PEP 639)."""
    for expression in about.get_all("License-Expression") or ():
        return str(expression)
    named = about.get_all("Classifier") or ()
    classes = [str(one).rpartition(" :: ")[2] for one in named if one.startswith("License ::")]
    text = "".join(map(str, about.get_all("License") or ())).strip()
    if classes or not text:
        return ", ".join(classes) or "unknown"
    return text.splitlines()[0][:60]
