"""ControlState reach those who listen, in their order, whatever thread they come from."""

from __future__ import annotations

import threading

import pytest

from edgefer_device.pipeline.control_state import Controls, ControlState


def test_each_wish_is_told_once() -> None:
    controls = Controls()
    told: list[ControlState] = []
    controls.listen(told.append)
    controls.pause()
    controls.pause()
    controls.set_threshold(0.6)
    controls.resume()
    controls.request_restart()
    assert told == [
        ControlState(paused=True),
        ControlState(paused=True, threshold=0.6),
        ControlState(threshold=0.6),
        ControlState(threshold=0.6, restart=True),
    ]
    assert (controls.paused, controls.threshold, controls.restart) == (False, 0.6, True)


def test_who_has_ended_listening_hears_nothing() -> None:
    controls = Controls()
    told: list[ControlState] = []
    end = controls.listen(told.append)
    end()
    end()
    controls.pause()
    assert told == []


@pytest.mark.parametrize("threshold", [0.0, 1.0, float("nan"), -3.0])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    controls = Controls()
    with pytest.raises(ValueError, match=r"threshold must be 0.05 to 0.95, got"):
        controls.set_threshold(threshold)
    assert controls.threshold is None


def test_threads_see_one_order() -> None:
    controls = Controls()
    first: list[ControlState] = []
    second: list[ControlState] = []
    controls.listen(first.append)
    controls.listen(second.append)

    def wish() -> None:
        for step in range(200):
            controls.set_threshold(0.1 + step / 400)
            controls.pause()
            controls.resume()

    threads = [threading.Thread(target=wish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert first == second
    assert first[-1] == controls.state
