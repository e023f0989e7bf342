from __future__ import annotations

import warnings

import pytest

from edgefer.notices import Fallback, shown_plainly


def test_a_warning_of_ours_is_one_line_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(), shown_plainly():
        warnings.simplefilter("always")
        warnings.warn("no camera; showing the demo instead", Fallback, stacklevel=1)
    assert capsys.readouterr().err == "edgefer: no camera; showing the demo instead\n"
