"""Fixtures for all tests; the tier of each, and the order in which files start.

Tiers: `make test` runs what is in none, `make test-all` everything.

- slow: takes minutes, and proves once more on much what other tests prove on little
- system: boots containers, deploys over SSH, or installs an environment of its own
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from support.browser import CHROMEDRIVER, CHROMIUM, chromium, tab
from support.mediapipe import mediapipe_python

HERE = Path(__file__).parent
TIERS = {"arm": "slow", "peers": "system", "rig": "system"}
"""Folders whose tests all belong to one."""
SYSTEM = {"laptop", "deployed", "fresh", "device", "mediapipe"}
"""Fixtures that only tests of that tier ask for."""
LONGEST = (
    *("deploy", "train/test_architectures", "rig"),
    *("train/test_strategy", "firmware/test_by_hand", "test_cycle", "train/test_fit"),
    *("device/export/test_phone_page", "train/test_quantize", "arm/test_bench_arm"),
)
"""Folders and files that start first, for no worker to be left alone with one at the end."""
MOST_WORKERS = 4
"""Each takes up to 3 GB where it trains."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so, and what tests start would never end by Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the workers of `-n auto`: as many as cores, one more where no test boots machines.

    A third of their time the others wait for browsers, brokers and processes.
    """
    more = 1 if "not system" in config.getoption("markexpr") else 0
    return min(MOST_WORKERS, (os.cpu_count() or 1) + more)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real faces and clips that EDGEFER_DATA names."""
    named = os.environ.get("EDGEFER_DATA")
    if not named:
        pytest.skip("EDGEFER_DATA is not set: it names the folder with fer2013.npz, clips, photos")
    if not Path(named).is_dir():
        pytest.skip(f"EDGEFER_DATA={named} is not a folder")
    return Path(named)


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give each worker's daemons a state folder, and thus a control socket, of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def mediapipe() -> list[str]:
    """The command of a Python that has MediaPipe."""
    return mediapipe_python()


@pytest.fixture(scope="session")
def chromium_once() -> Iterator[Chrome]:
    """One Chromium for all files: to start it takes seconds."""
    if not (CHROMIUM and CHROMEDRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    # Without a graphics chip the halo's motion would cost most of the tests' time.
    with chromium(1280, 720, "force-prefers-reduced-motion") as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(chromium_once: Chrome) -> Iterator[Chrome]:
    """A tab of it for one file, 1280x720; sizes, scripts and settings of others are gone."""
    with tab(chromium_once):
        yield chromium_once


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test its tier, at which `-m` looks afterwards, and let the longest start first."""
    for item in items:
        folder = item.path.relative_to(HERE).parts[0]
        if folder in TIERS:
            item.add_marker(TIERS[folder])
        elif SYSTEM & set(getattr(item, "fixturenames", ())):
            item.add_marker("system")
    items.sort(key=starts)


def starts(item: pytest.Item) -> int:
    """Return the place of a test's file among those that start first."""
    file = item.path.relative_to(HERE).as_posix()
    places = [place for place, one in enumerate(LONGEST) if file.startswith(one)]
    return places[0] if places else len(LONGEST)
