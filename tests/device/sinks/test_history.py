"""The history: what is kept, for how long, and how it is shown, written out and deleted."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from aiohttp import ClientSession
from click.testing import CliRunner, Result
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from edgefer.cli import main
from edgefer.errors import HistoryError, SettingsError
from edgefer.labels import EVERY_LABEL, UNKNOWN
from edgefer.messages import Report
from edgefer_device.daemon.configuration import load_config
from edgefer_device.doctor.services import check_history
from edgefer_device.sinks.history import HistorySettings
from edgefer_device.sinks.history.plot import to_svg
from edgefer_device.sinks.history.report import by_day, moods_of
from edgefer_device.sinks.history.sink import PENDING, HistorySink
from edgefer_device.sinks.history.store import HistoryStore, MoodSpan, first_minute
from edgefer_device.sinks.mirror.week import QUARTER, week
from edgefer_device.sinks.opening import SinkContext, open_sinks
from edgefer_device.system.check import Level
from edgefer_device.system.clock import duration
from edgefer_device.system.paths import state_folder
from support.browser import CHROMEDRIVER, CHROMIUM, resize
from support.full_disk import no_room
from support.live_mirror import PATIENCE, LiveMirror, mirror_sink

NOON = int(datetime(2026, 5, 17, 12, 0, tzinfo=timezone.utc).timestamp()) // 60
"""Minutes since 1970; a Sunday."""
DAY = 24 * 60
SUMMER = timezone(timedelta(hours=2))
"""In Berlin."""


@pytest.fixture
def store(tmp_path: Path) -> HistoryStore:
    return HistoryStore(tmp_path / "state" / "history.sqlite")


def kept_for(store: HistoryStore, days: int) -> SinkContext:
    return SinkContext(state=store.path.parent, history=HistorySettings(keep_days=days))


class Clock:
    """Time that passes when it is told to, for both clocks of the sink."""

    def __init__(self, minute: int = NOON) -> None:
        self.now = 60.0 * minute

    def __call__(self) -> float:
        return self.now


def report(mood: str | None, problem: str | None = None) -> Report:
    return Report(0.0, 0, (), mood, None, problem)


def kept(store: HistoryStore) -> dict[int, dict[str, float]]:
    minutes: dict[int, dict[str, float]] = {}
    for one in store.spans():
        minutes.setdefault(one.minute - NOON, {})[one.mood] = one.seconds
    return minutes


# --- the store -------------------------------------------------------------------


def test_seconds_of_a_minute_add_up(store: HistoryStore) -> None:
    store.add({NOON: {"happy": 20.0, "sad": 5.0}})
    store.add({NOON: {"happy": 10.0}, NOON + 1: {"sad": 60.0}})
    assert kept(store) == {0: {"happy": 30.0, "sad": 5.0}, 1: {"sad": 60.0}}


def test_spans_sum_up(store: HistoryStore) -> None:
    store.add({NOON + minute: {"happy": 10.0} for minute in range(0, 40, 10)})
    assert store.spans(15) == [
        MoodSpan(NOON, "happy", 20.0),
        MoodSpan(NOON + 15, "happy", 10.0),
        MoodSpan(NOON + 30, "happy", 10.0),
    ]
    assert store.spans(15, since=NOON + 30) == [MoodSpan(NOON + 30, "happy", 10.0)]


def test_nobody_else_may_read_it_and_at_rest_it_is_one_file(store: HistoryStore) -> None:
    store.add({NOON: {"happy": 20.0}})
    assert [item.name for item in store.path.parent.iterdir()] == ["history.sqlite"]
    assert store.path.stat().st_mode & 0o077 == 0
    assert store.path.parent.stat().st_mode & 0o077 == 0


def test_it_holds_moods_and_minutes_and_nothing_else(store: HistoryStore) -> None:
    store.add({NOON: {"happy": 20.0}})
    with closing(sqlite3.connect(store.path)) as file:
        tables = file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        columns = [row[1] for row in file.execute("PRAGMA table_info(moods)")]
    assert tables == [("moods",)]
    assert columns == ["minute", "mood", "seconds"]


def test_deleted_is_deleted_from_the_very_bytes(store: HistoryStore) -> None:
    store.add({NOON + minute: {"bewildered": 1.5} for minute in range(2000)})
    assert b"bewildered" in store.path.read_bytes()
    assert store.delete() == 2000
    everything = b"".join(item.read_bytes() for item in store.path.parent.iterdir())
    assert b"bewildered" not in everything
    assert store.path.stat().st_size < 10_000
    assert store.spans() == []


def test_a_damaged_history_is_found_by_doctor_and_can_be_deleted(store: HistoryStore) -> None:
    store.add({NOON: {"happy": 1.5}})
    assert check_history(str(store.path.parent)).level is Level.ok
    store.path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    found = check_history(str(store.path.parent))
    assert (found.level, found.advice) == (Level.fail, "edgefer history --delete removes it")
    with pytest.raises(HistoryError, match="edgefer history --delete removes it"):
        store.spans()
    assert store.delete() == 0
    assert not store.path.exists()
    store.path.write_text("mine")
    with pytest.raises(HistoryError, match="file is not a database; move it out of the way"):
        store.spans()
    store.path.unlink()
    assert check_history(str(store.path.parent)).level is Level.ok


def test_a_schema_whose_bytes_are_no_utf8_is_refused(store: HistoryStore) -> None:
    store.add({NOON: {"happy": 1.5}})
    with contextlib.closing(sqlite3.connect(store.path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        file.execute("PRAGMA journal_mode = DELETE")
    content = store.path.read_bytes()
    store.path.write_bytes(content.replace(b"CREATE TABLE", b"CREATE T\xeaBLE"))
    with pytest.raises(HistoryError, match="the history cannot be used: it is damaged"):
        store.spans()


def test_a_folder_in_its_place_is_left_and_named(store: HistoryStore) -> None:
    store.path.mkdir(parents=True)
    with pytest.raises(HistoryError, match="the history cannot be used"):
        store.delete()
    found = check_history(str(store.path.parent))
    assert (found.level, found.advice) == (Level.fail, "move the file away")
    assert store.path.is_dir()


def test_forgotten_is_overwritten_too(store: HistoryStore) -> None:
    store.add({NOON: {"bewildered": 1.5}, NOON + DAY + 1: {"happy": 1.5}})
    assert store.prune(NOON + DAY + 1, keep_days=1) == 1
    assert b"bewildered" not in store.path.read_bytes()
    assert kept(store) == {DAY + 1: {"happy": 1.5}}


def test_a_clock_that_jumps_deletes_nothing(store: HistoryStore) -> None:
    store.add({NOON - days * DAY: {"happy": 1.0} for days in range(6)})
    later = NOON + 12 * 365 * DAY
    assert store.prune(later, keep_days=5) == 0
    for day in range(2):
        store.add({later + day * DAY: {"happy": 1.0}})
        assert store.prune(later + day * DAY, keep_days=5) == 0
    # Back in its time it goes on as before, whatever it dated into the future.
    assert store.prune(NOON + DAY, keep_days=5) == 1
    assert store.prune(0, keep_days=5) == 0
    assert len(store.spans()) == 7


def test_after_a_long_rest_the_old_goes_when_there_are_new_days(store: HistoryStore) -> None:
    store.add({NOON - days * DAY: {"happy": 1.0} for days in range(3)})
    for day, deleted in ((40, 0), (41, 0), (42, 3)):
        store.add({NOON + day * DAY: {"happy": 1.0}})
        assert store.prune(NOON + day * DAY, keep_days=30) == deleted


@pytest.mark.parametrize(
    ("minute", "mood", "seconds"),
    [
        ("9e999", "'happy'", "1.0"),
        (str(2**62), "'happy'", "1.0"),
        ("-1", "'happy'", "1.0"),
        ("'noon'", "'happy'", "1.0"),
        ("NULL", "'happy'", "1.0"),
        (str(NOON), "NULL", "1.0"),
        (str(NOON), "x'00ff'", "1.0"),
        (str(NOON), "char(27) || '[31m'", "1.0"),
        (str(NOON), "'happy'", "9e999"),
        (str(NOON), "'happy'", "-9e999"),
        (str(NOON), "'happy'", "NULL"),
        (str(NOON), "'happy'", "'long'"),
    ],
)
def test_an_entry_that_cannot_be_ours_is_left_out_and_counted(
    store: HistoryStore, minute: str, mood: str, seconds: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.add({NOON: {"sad": 20.0}})
    with closing(sqlite3.connect(store.path)) as file, file:
        file.execute("CREATE TABLE loose (minute, mood, seconds)")
        file.execute("INSERT INTO loose SELECT * FROM moods")
        file.execute("DROP TABLE moods")
        file.execute("ALTER TABLE loose RENAME TO moods")
        file.execute(f"INSERT INTO moods VALUES ({minute}, {mood}, {seconds})")
    found = store.last_days(None)
    assert found == [MoodSpan(NOON, "sad", 20.0)]
    assert caplog.messages == [f"{store.path}: damaged entries left out: 1"]
    store.prune(NOON + DAY, keep_days=1)
    assert store.spans(QUARTER) == [MoodSpan(NOON, "sad", 20.0)]


def test_a_name_that_is_no_utf8_is_shown_as_well_as_it_can_be(store: HistoryStore) -> None:
    store.add({NOON: {"sad": 20.0}})
    with closing(sqlite3.connect(store.path)) as file, file:
        file.execute("UPDATE moods SET mood = CAST(x'61ff' AS TEXT)")
    assert store.last_days(None) == [MoodSpan(NOON, "a\ufffd", 20.0)]


def test_a_kill_in_the_midst_of_writing_loses_no_minute_that_was_written(
    store: HistoryStore,
) -> None:
    program = (
        "import itertools, sys\n"
        "from pathlib import Path\n"
        "from edgefer_device.sinks.history.store import HistoryStore\n"
        f"store = HistoryStore(Path({str(store.path)!r}))\n"
        "for number in itertools.count():\n"
        f"    store.add({{{NOON} + number: {{'happy': 1.0, 'sad': 2.0}}}})\n"
        "    print(number, flush=True)\n"
    )
    words, paths = [sys.executable, "-c", program], {"PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(words, env=paths, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = 0
        for line in process.stdout:
            last = int(line)
            if last == 20:
                process.send_signal(signal.SIGKILL)
    minutes = kept(store)
    assert len(minutes) in (last + 1, last + 2)
    assert all(moods == {"happy": 1.0, "sad": 2.0} for moods in minutes.values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no database at all, but some notes" * 100, "cannot be used: file is not a database"),
        ("CREATE TABLE notes (text)", "is not a history of edgefer; move it out of the way"),
        (
            "PRAGMA application_id = 0x65464552; PRAGMA user_version = 2; CREATE TABLE moods (x)",
            "is a history of version 2, this program writes 1; update edgefer",
        ),
    ],
)
def test_a_file_that_is_no_history_of_ours_is_left_alone(
    store: HistoryStore, content: bytes | str, message: str
) -> None:
    store.path.parent.mkdir()
    if isinstance(content, bytes):
        store.path.write_bytes(content)
    else:
        with closing(sqlite3.connect(store.path)) as file:
            file.executescript(content)
    before = store.path.read_bytes()
    for use in (lambda: store.add({NOON: {"happy": 1.0}}), store.delete, store.spans):
        with pytest.raises(HistoryError, match=message) as refused:
            use()
        assert "\n" not in str(refused.value)
    assert store.path.read_bytes() == before
    assert check_history(str(store.path.parent)).advice == "move the file away"


# --- the sink ----------------------------------------------------------------------


def watch(sink: HistorySink, clock: Clock, *moods: tuple[str | None, float]) -> None:
    """Let the sink see moods, ten reports a second, each for so many seconds."""

    async def whole() -> None:
        async with sink:
            for mood, seconds in moods:
                for _ in range(round(10 * seconds)):
                    await sink.publish(report(mood))
                    clock.now += 0.1

    asyncio.run(whole())


def test_each_minute_has_the_seconds_of_its_moods(store: HistoryStore) -> None:
    clock = Clock()
    sink = HistorySink(store, 90, clock, clock)
    watch(sink, clock, ("neutral", 45), ("happy", 30), (None, 15), ("happy", 40), ("unknown", 5))
    assert kept(store) == {
        0: {"neutral": pytest.approx(45, abs=0.2), "happy": pytest.approx(15, abs=0.2)},
        1: {"happy": pytest.approx(45, abs=0.3)},
        2: {"happy": pytest.approx(10, abs=0.2), "unknown": pytest.approx(5, abs=0.2)},
    }


def test_what_was_deleted_is_not_written_by_a_daemon_that_had_seen_it(store: HistoryStore) -> None:
    clock = Clock()
    sink = HistorySink(store, 90, clock, clock)

    async def whole() -> None:
        async with sink:
            for _ in range(30):
                await sink.publish(report("happy"))
                clock.now += 1.0
            HistoryStore(store.path).delete()
            clock.now += 10 * 60.0
            for _ in range(30):
                await sink.publish(report("sad"))
                clock.now += 1.0

    asyncio.run(whole())
    (moods,) = kept(store).values()
    assert moods.keys() == {"sad"}


def test_of_a_damaged_history_that_was_deleted_nothing_comes_back(store: HistoryStore) -> None:
    clock = Clock()
    sink = HistorySink(store, 90, clock, clock)

    async def whole() -> None:
        async with sink:
            for _ in range(30):
                clock.now += 1.0
                await sink.publish(report("happy"))
            store.path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
            HistoryStore(store.path).delete()
            await sink.publish(report(None))

    asyncio.run(whole())
    assert kept(store) == {}


def test_a_deletion_between_the_look_and_the_write_is_seen(store: HistoryStore) -> None:
    store.add({NOON: {"happy": 1.0}})
    assert not store.is_emptied()
    HistoryStore(store.path).delete()
    store.add({NOON: {"happy": 2.0}})
    assert store.spans() == []
    store.add({NOON: {"sad": 3.0}})
    assert [one.mood for one in store.spans()] == ["sad"]


def test_silence_counts_for_nothing(store: HistoryStore) -> None:
    clock = Clock()
    sink = HistorySink(store, 90, clock, clock)

    async def whole() -> None:
        async with sink:
            for step in (1.0, 1.0, 50.0, 1.0):
                await sink.publish(report("happy"))
                clock.now += step
            await sink.publish(report(None, problem="unplugged"))
            clock.now += 1.0
            await sink.publish(report("happy"))

    asyncio.run(whole())
    assert kept(store) == {0: {"happy": 2.0}}


def test_a_clock_that_is_set_back_loses_nothing(store: HistoryStore) -> None:
    clock, wall = Clock(), Clock()
    sink = HistorySink(store, 90, clock, wall)

    async def whole() -> None:
        async with sink:
            for number in range(61):
                if number == 30:
                    wall.now -= 3600
                await sink.publish(report("happy"))
                clock.now += 1.0
                wall.now += 1.0

    asyncio.run(whole())
    assert sum(one.seconds for one in store.spans()) == pytest.approx(60)
    assert set(kept(store)) == {-60, -59, 0}


def test_what_is_too_old_goes_at_the_start_and_each_day(store: HistoryStore) -> None:
    store.add({NOON - days * DAY: {"happy": 1.0} for days in range(10)})
    clock = Clock()
    sink = HistorySink(store, 3, clock, clock)

    async def whole() -> None:
        async with sink:
            assert len(store.spans()) == 4
            for _ in range(2):
                clock.now += DAY * 60
                await sink.publish(report("happy"))
                clock.now += 1
                await sink.publish(report("happy"))
                clock.now += 60
                await sink.publish(report("happy"))
            assert min(span.minute for span in store.spans()) == NOON - 2 * DAY

    asyncio.run(whole())


def test_it_is_written_every_ten_minutes_for_an_sd_cards_sake(store: HistoryStore) -> None:
    clock, written = Clock(), []
    add = store.add

    def counted(minutes: Mapping[int, Mapping[str, float]]) -> None:
        written.append(len(minutes))
        add(minutes)

    store.add = counted  # type: ignore[method-assign]  # the store is counted, not replaced
    watch(HistorySink(store, 90, clock, clock), clock, ("happy", 25 * 60))
    assert written == [10, 10, 5]
    assert len(kept(store)) == 25


def test_a_full_disk_ends_nothing_and_is_made_up_for(
    store: HistoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    sink = HistorySink(store, 90, clock, clock)

    async def whole() -> None:
        async with sink:
            with no_room():
                for _ in range(7200):
                    await sink.publish(report("happy"))
                    clock.now += 0.1
            assert sink.fault == "the history cannot be written"
            assert store.spans() == []
            for _ in range(700):
                await sink.publish(report("happy"))
                clock.now += 0.1
            assert sink.fault is None

    asyncio.run(whole())
    assert sum(one.seconds for one in store.spans()) == pytest.approx(789.9, abs=0.5)
    assert len(caplog.records) == 1
    assert "the history cannot be used" in caplog.text


def test_memory_is_bounded_while_the_disk_refuses(store: HistoryStore) -> None:
    clock = Clock()
    sink = HistorySink(store, 90, clock, clock)

    async def whole() -> None:
        async with sink:
            with no_room():
                for _ in range(3 * PENDING * 60):
                    await sink.publish(report("happy"))
                    clock.now += 1.0

    asyncio.run(whole())
    assert PENDING <= len(store.spans()) <= PENDING + 2


def test_a_file_that_is_not_ours_ends_the_start(store: HistoryStore) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(b"x" * 5000)

    async def whole() -> None:
        async with HistorySink(store, 90):
            pass

    with pytest.raises(HistoryError, match="not a database"):
        asyncio.run(whole())


# --- the configuration ---------------------------------------------------------------


def test_nothing_is_kept_unless_it_is_asked_for(tmp_path: Path) -> None:
    off = SinkContext(state=tmp_path)
    on = SinkContext(state=tmp_path, history=HistorySettings(keep_days=90))

    async def live(context: SinkContext) -> list[str]:
        for sink in open_sinks((), context).sinks:
            async with sink:
                await sink.publish(report("happy"))
        return [item.name for item in tmp_path.iterdir()]

    assert asyncio.run(live(off)) == []
    assert asyncio.run(live(on)) == ["history.sqlite"]


def test_days_that_cannot_be_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "edgefer.toml"
    path.write_text("[history]\nkeep_days = -1\n")
    with pytest.raises(SettingsError, match="keep_days must be from 0 to 36500, got -1"):
        load_config(path)


def test_the_state_folder_is_the_chosen_one_else_systemds_else_the_users() -> None:
    systemd = {"STATE_DIRECTORY": "/var/lib/edgefer:/var/lib/other", "XDG_STATE_HOME": "/x"}
    assert state_folder("/srv/mirror", systemd) == Path("/srv/mirror")
    assert state_folder(None, systemd) == Path("/var/lib/edgefer")
    assert state_folder(None, {"XDG_STATE_HOME": "/x"}) == Path("/x/edgefer")
    assert state_folder(None, {}) == Path.home() / ".local/state/edgefer"


# --- days and weeks --------------------------------------------------------------------


def test_days_are_those_of_the_people_and_not_of_greenwich() -> None:
    late = NOON + 11 * 60  # 23:00 in Greenwich, 01:00 on the next day in Berlin
    held = [MoodSpan(NOON, "happy", 60), MoodSpan(late, "sad", 20), MoodSpan(late, "happy", 20)]
    assert [day.date.isoformat() for day in by_day(held, timezone.utc)] == ["2026-05-17"]
    first, second = by_day(held, SUMMER)
    assert (first.date.day, first.total, second.date.day) == (17, 60, 18)
    assert (second.share("sad"), second.share("angry")) == (0.5, 0.0)
    assert moods_of([first, second]) == ["happy", "sad"]


def test_a_week_has_seven_days_of_24_hours_up_to_today() -> None:
    held = [
        MoodSpan(NOON, "happy", 30), MoodSpan(NOON + QUARTER, "sad", 45),
        MoodSpan(NOON + 45, "sad", 45),
        MoodSpan(NOON - 6 * DAY, "fear", 60),
        MoodSpan(NOON + 9 * DAY, "angry", 60),
    ]  # fmt: skip
    told = week(held, 60.0 * NOON, timezone.utc)
    assert [day.date.day for day in told.days] == [11, 12, 13, 14, 15, 16, 17]
    assert all(len(day.hours) == 24 for day in told.days)
    seen = told.days[-1].hours[12]
    assert seen is not None
    assert (seen.mood, seen.share, seen.minutes) == ("sad", 0.75, 2.0)
    assert told.days[0].hours[12] is not None
    assert sum(hour is not None for day in told.days for hour in day.hours) == 2
    assert told.minutes == {"happy": 0.5, "sad": 1.5, "fear": 1.0}


@pytest.fixture
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the machine's own zone be one that has summer time."""
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_berlin")
def test_a_change_of_the_clocks_moves_no_day() -> None:
    # Germany put its clocks forward on 29 March 2026, between 2:00 and 3:00.
    before = int(datetime(2026, 3, 28, 23, 30).timestamp()) // 60
    after = int(datetime(2026, 3, 29, 3, 0).timestamp()) // 60
    assert after - before == 150
    now = datetime(2026, 3, 29, 20, 0).timestamp()
    told = week([MoodSpan(before, "happy", 9), MoodSpan(after, "sad", 9)], now)
    assert told.days[-2].hours[23] is not None
    assert told.days[-1].hours[3] is not None
    assert first_minute(now, 2) == datetime(2026, 3, 28, 0, 0).timestamp() // 60


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3599, "1 h 00"), (11100, "3 h 05")],
)
def test_durations_read_well(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_mirror_serves_the_week_and_says_that_it_keeps_it(store: HistoryStore) -> None:
    minute = int(time.time() // 60)
    store.add({minute: {"happy": 30.0}})

    async def whole(context: SinkContext) -> tuple[int, Any, int]:
        async with mirror_sink(context) as mirror, ClientSession() as session:
            async with session.get(mirror.server.url + "week.json") as got:
                told = await got.json() if got.status == 200 else await got.text()
            async with session.ws_connect(mirror.server.url + "ws") as page:
                return got.status, told, (await page.receive_json())["kept_days"]

    status, told, days = asyncio.run(whole(kept_for(store, 90)))
    assert (status, days) == (200, 90)
    hour = datetime.fromtimestamp(60 * minute).hour
    assert told["days"][-1]["hours"][hour] == {"mood": "happy", "share": 1.0, "minutes": 0.5}
    assert asyncio.run(whole(SinkContext()))[::2] == (404, 0)
    store.path.write_bytes(b"x" * 5000)
    status, told, _ = asyncio.run(whole(kept_for(store, 90)))
    assert status == 503
    assert "not a database" in told


# --- the command line --------------------------------------------------------------------


def history(*words: object, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, ["history", *map(str, words)], input=answer)


@pytest.fixture
def config(store: HistoryStore, tmp_path: Path) -> Path:
    """The configuration of a daemon that has kept three minutes of today and one of long ago."""
    now = int(time.time() // 60)
    store.add({
        now: {"happy": 30.0, "sad": 10.0}, now - 1: {"happy": 60.0}, now - 2: {"neutral": 20.0},
        now - 30 * DAY: {"fear": 12.5},
    })  # fmt: skip
    path = tmp_path / "edgefer.toml"
    path.write_text(f'state = "{store.path.parent}"\n[history]\nkeep_days = 90\n')
    return path


def test_it_is_shown_by_day(config: Path) -> None:
    done = history("--config", config)
    assert done.exit_code == 0
    words = done.stdout.split()
    assert {"happy", "neutral", "sad", "fear"} <= set(words)
    assert "100" in words
    recent = history("--config", config, "--days", 7).stdout
    assert "fear" not in recent
    assert "happy" in recent


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_no_terminal_cuts_or_wraps_a_name_or_a_number(
    store: HistoryStore, config: Path, columns: int
) -> None:
    moods = [*EVERY_LABEL, UNKNOWN]
    store.add({int(time.time() // 60): dict.fromkeys(moods, 60.0)})
    runner = CliRunner(env={"COLUMNS": str(columns)})
    lines = runner.invoke(main, ["history", "--config", str(config)]).stdout.strip().splitlines()
    assert lines[0] == "Percent of the time with a face, by day"
    rows = [line.split() for line in lines[1:] if line]
    headers = [row for row in rows if row[0] == "day"]
    assert {mood for row in headers for mood in row[2:]} == {*moods}
    assert max(map(len, lines)) <= columns
    assert (len(headers) == 1) is (columns == 200)
    assert all(len(row[0]) == 10 and len(row[1]) == 3 for row in rows if row not in headers)


def test_its_hours_are_those_of_the_mirrors_clock(config: Path, tmp_path: Path) -> None:
    plot = tmp_path / "moods.svg"
    config.write_text(config.read_text() + "[mirror]\nclock = 12\n")
    history("--config", config, "--plot", plot)
    assert ">6:00 pm<" in plot.read_text()
    config.write_text(config.read_text().replace("clock = 12", "clock = 24"))
    history("--config", config, "--plot", plot)
    assert ">18:00<" in plot.read_text()


def test_it_is_exported_whole(config: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in history("--config", config, "--export").stdout.split()]
    assert len(lines) == 5
    assert set(lines[0]) == {"minute", "mood", "seconds"}
    assert (lines[0]["mood"], lines[0]["seconds"]) == ("fear", 12.5)
    table = tmp_path / "moods.csv"
    done = history("--config", config, "--csv", table)
    assert (done.exit_code, done.output) == (0, "")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["mood"] for row in rows] == [line["mood"] for line in lines]
    moment = datetime.strptime(rows[0]["minute"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    assert abs(time.time() - moment.timestamp() - 30 * DAY * 60) < 120


def test_it_is_drawn_as_a_picture_of_its_own(config: Path, tmp_path: Path) -> None:
    plot = tmp_path / "moods.svg"
    done = history("--config", config, "--plot", plot)
    assert (done.exit_code, done.output) == (0, "")
    text = plot.read_text()
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert text.count("http") == 1  # the name of the format: nothing is fetched
    words = " ".join(root.itertext())
    assert "Expressions from" in words
    assert {"happy", "sad", "neutral", "fear"} <= set(words.split())


def test_a_picture_stays_on_its_sheet_and_any_label_is_only_text() -> None:
    held = [
        MoodSpan(NOON + DAY * day + 60 * (hour - 12), mood, 100.0 * (day + 1))
        for day in range(40) for hour in range(24) for mood in ("happy", "<b>&own")
    ]  # fmt: skip
    root = ElementTree.fromstring(to_svg(held, zone=timezone.utc))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    boxes = [item for item in root.iter() if item.tag.endswith("rect")]
    assert len(boxes) == 40 * 2 + 24 * 2 * 2
    for box in boxes:
        x, y, w, h = (float(box.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height
    assert "<b>&own" in list(root.itertext())


def test_it_is_deleted_when_it_is_confirmed(config: Path, store: HistoryStore) -> None:
    done = history("--config", config, "--delete", answer="n\n")
    assert done.exit_code == 1
    assert len(store.spans()) == 5
    done = history("--config", config, "--delete", answer="y\n")
    assert done.exit_code == 0
    assert "entries deleted for good: 5" in done.stderr
    assert store.spans() == []
    assert history("--config", config, "--delete", "--yes").exit_code == 0


def test_a_running_daemon_does_not_keep_it_from_being_deleted(
    config: Path, store: HistoryStore
) -> None:
    async def whole() -> None:
        clock = Clock()
        async with HistorySink(store, 90, clock, clock) as sink:
            await sink.publish(report("happy"))
            await asyncio.to_thread(history, "--config", config, "--delete", "--yes")
            assert store.spans() == []
            clock.now += 1
            await sink.publish(report("happy"))

    asyncio.run(whole())
    assert [one.seconds for one in store.spans()] == [1.0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--plot", "x.png"), "edgefer: x.png: the plot is an SVG image; end its name in .svg"),
        (("--csv", "/absent/x.csv"), "edgefer: /absent/x.csv: cannot be written: No such file"),
    ],
)
def test_what_cannot_be_written_is_one_line(
    config: Path, words: tuple[str, ...], message: str
) -> None:
    done = history("--config", config, *words)
    assert done.exit_code == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_no_history_is_one_line_that_says_how_to_begin_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    done = history()
    assert done.exit_code == 1
    assert done.stderr.startswith(f"edgefer: {tmp_path / 'history.sqlite'}: no history is kept")
    assert "keep_days = 90 under [history]" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_days_without_anything_are_said(config: Path, store: HistoryStore, tmp_path: Path) -> None:
    store.delete()
    assert history("--config", config).stderr == "Nothing was seen in these days.\n"
    done = history("--config", config, "--plot", tmp_path / "x.svg")
    assert "not drawn: nothing was seen" in done.stderr


def test_delete_with_anything_else_is_wrong_usage(config: Path) -> None:
    assert history("--config", config, "--delete", "--days", 3).exit_code == 2


# --- Chromium ------------------------------------------------------------------------------


needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="chromium and chromedriver are not installed"
)


def asked(browser: Chrome, script: str) -> Any:
    return browser.execute_script(f"return {script}")


def wait(browser: Chrome, script: str, wanted: object = True) -> None:
    end = time.monotonic() + PATIENCE
    while (found := asked(browser, script)) != wanted:
        assert time.monotonic() < end, f"wanted {wanted!r}, found {found!r}"
        time.sleep(0.03)  # real time: a browser cannot be told that it has passed


OPEN = "document.querySelector('#week').open"
NOTICE = "document.querySelector('#notice').textContent"


@needs_chromium
def test_the_week_opens_by_key_and_by_touch_and_says_each_hour(
    browser: Chrome, store: HistoryStore
) -> None:
    now = int(time.time() // 60)
    store.add({now - minute: {"happy": 45.0, "sad": 15.0} for minute in range(3)})
    store.add({now - 3 * DAY: {"fear": 60.0}})
    with LiveMirror(kept_for(store, 90)) as mirror:
        browser.get(mirror.sink.server.url)
        kept = "How long each was seen is kept here for 90 days."
        wait(browser, f"{NOTICE}.endsWith('{kept}')")
        body = browser.find_element(By.TAG_NAME, "body")
        body.send_keys("w")
        wait(browser, "document.querySelectorAll('#week tr').length", 8)
        words = asked(browser, "document.querySelector('#week table').textContent")
        assert "fear 100 % of 1 min" in words
        assert "happy 75 % of " in words
        legend = asked(browser, "document.querySelector('#week .legend').textContent")
        assert "happy 2 min" in legend
        coloured = "[...document.querySelectorAll('#week td')].filter((td) => td.title).length"
        assert asked(browser, coloured) in (2, 3)
        body.send_keys(Keys.ESCAPE)
        wait(browser, OPEN, False)
        browser.find_element(By.ID, "open-week").click()
        wait(browser, OPEN)
        browser.find_element(By.CSS_SELECTOR, "#week button").click()
        wait(browser, OPEN, False)
        loaded = asked(browser, "performance.getEntriesByType('resource').map((one) => one.name)")
        assert all(url.startswith(mirror.sink.server.url) for url in loaded)


@needs_chromium
@pytest.mark.parametrize("size", [(320, 568), (844, 390), (1080, 1920)], ids=str)
def test_the_week_fits_the_glass(
    browser: Chrome, store: HistoryStore, size: tuple[int, int]
) -> None:
    now = int(time.time() // 60)
    moods = ("neutral", "happy", "sad", "surprise", "angry", "fear")
    store.add({now - 60 * hour: {moods[hour % 6]: 40.0} for hour in range(160)})
    resize(browser, *size)
    with LiveMirror(kept_for(store, 90)) as mirror:
        browser.get(mirror.sink.server.url)
        wait(browser, "document.querySelector('#open-week').hidden", False)
        browser.find_element(By.TAG_NAME, "body").send_keys("w")
        wait(browser, "document.querySelectorAll('#week tr').length", 8)
        fits = (
            "[...document.querySelectorAll('#week > *')].every((one) => {"
            " const box = one.getBoundingClientRect();"
            " return box.left >= 0 && box.right <= innerWidth && box.top >= 0"
            "  && box.bottom <= innerHeight; })"
        )
        assert asked(browser, fits)


@needs_chromium
def test_an_empty_week_and_a_week_that_cannot_be_read_say_so(
    browser: Chrome, store: HistoryStore
) -> None:
    with LiveMirror(kept_for(store, 1)) as mirror:
        browser.get(mirror.sink.server.url)
        wait(browser, f"{NOTICE}.endsWith('kept here for a day.')")
        body, said = browser.find_element(By.TAG_NAME, "body"), "#week .words"
        body.send_keys("w")
        words = f"document.querySelector('{said}').textContent"
        wait(browser, words, "Nothing yet: the first minutes will stand here.")
        body.send_keys(Keys.ESCAPE)
        store.path.write_bytes(b"x" * 5000)
        body.send_keys("w")
        wait(browser, words, "The week cannot be read now.")


@needs_chromium
def test_without_a_history_there_is_no_week(browser: Chrome) -> None:
    with LiveMirror() as mirror:
        browser.get(mirror.sink.server.url)
        mirror.publish("happy", 0.9)
        wait(browser, "document.querySelector('#mood').textContent", "happy")
        browser.find_element(By.TAG_NAME, "body").send_keys("w")
        assert asked(browser, OPEN) is False
        assert asked(browser, "document.querySelector('#open-week').hidden") is True
        assert asked(browser, NOTICE).endswith("No picture leaves this device.")
