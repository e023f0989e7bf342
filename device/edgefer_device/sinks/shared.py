"""What the sinks of one daemon have in common: the one that tells is not the one that shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgefer_device.board import Board
from edgefer_device.sinks.health import Health
from edgefer_device.sinks.prometheus import Figures

if TYPE_CHECKING:
    from edgefer_device.history import Store


class Shared:
    """One daemon's health, figures, line of content and history.

    `store` is where the history is kept for `keep_days` days; None where none is.
    """

    def __init__(
        self, health: Health | None = None, store: Store | None = None, keep_days: int = 0
    ) -> None:
        self.health = health or Health()
        self.figures = Figures(self.health)
        self.board = Board()
        self.store, self.keep_days = store, keep_days
