"""Where reports go: the seam, and the double that remembers them."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from typing_extensions import Self

from edgefer.messages import Report


class Sink(Protocol):
    """Takes reports; `async with` is the only way in.

    Entering acquires (a connection, a port, a file) or raises `EdgeferError`; leaving
    releases, and may be repeated.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    async def publish(self, report: Report) -> None:
        """Take one report; reports come in order, one at a time."""
        ...


class RecordingSink:
    """A sink that keeps what it is given in `reports`."""

    def __init__(self) -> None:
        self.reports: list[Report] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def publish(self, report: Report) -> None:
        """Keep the report."""
        self.reports.append(report)
