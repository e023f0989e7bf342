"""What the sinks of one daemon have in common: the one that tells is not the one that shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgefer_device.daemon.configuration import Config
from edgefer_device.pipeline.control_state import Controls
from edgefer_device.pipeline.health import Health
from edgefer_device.sinks.message_board import Board
from edgefer_device.sinks.prometheus import Figures

if TYPE_CHECKING:
    from edgefer_device.sinks.history.store import Store


class Shared:
    """One daemon's health, figures, controls, line of content and history.

    `config` is what they were chosen from, or the defaults; `store` is where the history is
    kept for `keep_days` days; None where none is.
    """

    def __init__(
        self,
        health: Health | None = None,
        store: Store | None = None,
        keep_days: int = 0,
        controls: Controls | None = None,
        config: Config | None = None,
    ) -> None:
        self.health = health or Health()
        self.controls = controls or Controls()
        self.config = config or Config()
        self.figures = Figures(self.health)
        self.board = Board()
        self.store, self.keep_days = store, keep_days
        self.page: str | None = None
        """The address of the mirror page while it is served, with its token where it asks for
        one: for those who may know it."""
