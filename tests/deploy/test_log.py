"""The log of a deployment."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.errors import SettingsError
from edgefer_device.deploy.host_pool import DeployLog


def test_lines_are_kept_with_their_host(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "deploy.log"
    with DeployLog(path) as log:
        log.write("mirror", "connected")
        log.write("hall", "refused")
    assert [line[9:] for line in path.read_text().splitlines()] == [
        "mirror: connected",
        "hall: refused",
    ]


def test_what_a_host_prints_stays_one_line_and_moves_no_cursor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deploy.log"
    with DeployLog(path) as log:
        log.write("mirror", "\x1b[2Jgone\nhall: deployed")
    line = "mirror: \\x1b[2Jgone\\nhall: deployed"
    assert [kept[9:] for kept in path.read_text().splitlines()] == [line]
    assert capsys.readouterr().err == f"{line}\n"


def test_one_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        DeployLog(tmp_path / "file" / "deploy.log") as log,
        pytest.raises(SettingsError, match=r"the log cannot be written: .*; choose another --log"),
    ):
        log.write("mirror", "connected")
