"""JSON lines in files of limited size."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from edgefer.errors import SettingsError, SinkError
from edgefer.messages import Report, to_json
from edgefer_device.sinks.jsonl import JsonLinesOptions, JsonLinesSink
from edgefer_device.sinks.opening import open_sink

LINE = len(to_json(Report(0.0, 100, (), None, None))) + 1
"""Bytes of a report whose frame has three digits."""


def publish(sink: JsonLinesSink, frames: range) -> None:
    async def whole() -> None:
        async with sink:
            for frame in frames:
                await sink.publish(Report(0.0, frame, (), None, None))

    asyncio.run(whole())


def limit(size: int, keep: int) -> JsonLinesOptions:
    return JsonLinesOptions(max_mb=size / 1e6, keep=keep)


def frames_in(path: Path) -> list[int]:
    return [json.loads(line)["frame"] for line in path.read_text().splitlines()]


def test_a_full_file_is_put_aside_and_no_line_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "moods.jsonl"
    publish(JsonLinesSink(str(path), limit(10 * LINE, 5)), range(100, 135))
    names = ["moods.jsonl", "moods.jsonl.1", "moods.jsonl.2", "moods.jsonl.3"]
    assert sorted(item.name for item in tmp_path.iterdir()) == names
    assert frames_in(path) == list(range(130, 135))
    assert frames_in(tmp_path / "moods.jsonl.1") == list(range(120, 130))
    assert frames_in(tmp_path / "moods.jsonl.3") == list(range(100, 110))
    assert all(item.stat().st_size <= 10 * LINE for item in tmp_path.iterdir())


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_only_so_many_full_files_are_kept(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "moods.jsonl"
    publish(JsonLinesSink(str(path), limit(10 * LINE, keep)), range(100, 195))
    assert len(list(tmp_path.iterdir())) == keep + 1
    kept = [path, *(tmp_path / f"moods.jsonl.{number}" for number in range(1, keep + 1))]
    assert [frame for one in reversed(kept) for frame in frames_in(one)] == list(
        range(190 - 10 * keep, 195)
    )


def test_a_file_is_gone_on_with_and_its_size_counts(tmp_path: Path) -> None:
    path = tmp_path / "moods.jsonl"
    rotation = limit(10 * LINE, 5)
    publish(JsonLinesSink(str(path), rotation), range(100, 108))
    publish(JsonLinesSink(str(path), rotation), range(108, 113))
    assert frames_in(tmp_path / "moods.jsonl.1") == list(range(100, 110))
    assert frames_in(path) == list(range(110, 113))


def test_nobody_else_may_read_a_new_file(tmp_path: Path) -> None:
    publish(JsonLinesSink(str(tmp_path / "moods.jsonl"), limit(LINE, 2)), range(3))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_line_longer_than_the_limit_has_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "moods.jsonl"
    publish(JsonLinesSink(str(path), limit(LINE // 2, 5)), range(100, 103))
    assert frames_in(path) == [102]
    assert frames_in(tmp_path / "moods.jsonl.2") == [100]


def test_who_reads_on_keeps_the_full_file_and_the_path_is_never_empty_handed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "moods.jsonl"

    async def whole() -> None:
        async with JsonLinesSink(str(path), limit(2 * LINE, 2)) as sink:
            for frame in (100, 101):
                await sink.publish(Report(0.0, frame, (), None, None))
            with path.open() as reader:
                await sink.publish(Report(0.0, 102, (), None, None))
                assert len(reader.readlines()) == 2
            assert frames_in(path) == [102]
            assert not path.samefile(tmp_path / "moods.jsonl.1")

    asyncio.run(whole())


def test_a_card_without_second_names_rotates_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    # What FAT answers; mounting one takes root.
    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "moods.jsonl"
    publish(JsonLinesSink(str(path), limit(10 * LINE, 2)), range(100, 125))
    assert frames_in(path) == list(range(120, 125))
    assert frames_in(tmp_path / "moods.jsonl.2") == list(range(100, 110))


def test_a_place_that_can_no_longer_be_written_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "moods.jsonl"

    async def whole() -> None:
        async with JsonLinesSink(str(path), limit(LINE, 1)) as sink:
            await sink.publish(Report(0.0, 100, (), None, None))
            path.unlink()
            folder.rmdir()
            await sink.publish(Report(0.0, 101, (), None, None))

    with pytest.raises(SinkError, match="cannot be rotated: No such file"):
        asyncio.run(whole())


def test_what_is_no_file_cannot_be_limited() -> None:
    async def whole() -> None:
        async with JsonLinesSink("/dev/null", limit(LINE, 1)):
            pass

    with pytest.raises(SinkError, match="/dev/null: no regular file"):
        asyncio.run(whole())


def test_the_address_says_how_large_and_how_many(tmp_path: Path) -> None:
    sink = open_sink(f"jsonl:{tmp_path / 'a.jsonl'}?max_mb=0.0005&keep=1")
    assert isinstance(sink, JsonLinesSink)
    publish(sink, range(100, 130))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.jsonl", "a.jsonl.1"]
    assert (tmp_path / "a.jsonl.1").stat().st_size <= 500


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("jsonl:a?max_mb=ten", "'max_mb' must be a number"),
        ("jsonl:a?max_mb=0", "'max_mb' must be a number"),
        ("jsonl:a?max_mb=inf", "'max_mb' must be a number"),
        ("jsonl:a?max_mb=1&keep=-1", "'keep' must be a whole number"),
        ("jsonl:a?max_mb=1&keep=1.5", "'keep' must be a whole number"),
        ("jsonl:a?keep=3", "'keep' needs a limit beside it"),
        ("jsonl:a?size=3", "unknown option 'size'; known: max_mb, keep"),
        ("jsonl:-?max_mb=1", "standard output cannot be limited"),
    ],
)
def test_limits_that_cannot_be_are_refused(uri: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        open_sink(uri)


def test_a_full_disk_is_waited_for_and_tears_no_later_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, sink = tmp_path / "log", JsonLinesSink(str(tmp_path / "log"))
    caplog.set_level("INFO", "edgefer_device")

    async def whole() -> None:
        async with sink:
            for frame in (100, 101, 102, 103, 104):
                with room(LINE + 9) if frame in (101, 102) else nullcontext():
                    await sink.publish(Report(0.0, frame, (), None, None))
                    assert (sink.fault is not None) == (frame in (101, 102))

    asyncio.run(whole())
    lines = path.read_text().splitlines()
    assert [json.loads(lines[place])["frame"] for place in (0, 2, 3)] == [100, 103, 104]
    assert len(lines[1]) == 9
    lost, back = caplog.messages
    assert lost.endswith("cannot be written: File too large; reports are left out until it can")
    assert back == f"jsonl:{path}: is written again"


def test_reports_that_are_missing_at_the_end_are_an_error(tmp_path: Path) -> None:
    sink = JsonLinesSink(str(tmp_path / "log"))
    with room(LINE), pytest.raises(SinkError, match="cannot be written: File too large"):
        publish(sink, range(100, 110))
    assert frames_in(tmp_path / "log") == [100]


def test_a_disk_that_is_full_for_long_costs_none_of_the_kept_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    publish(JsonLinesSink(str(path), limit(2 * LINE, 2)), range(100, 106))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("edgefer_device.sinks.jsonl.write_atomic", full)
        with pytest.raises(SinkError, match="cannot be rotated: No space left on device"):
            publish(JsonLinesSink(str(path), limit(2 * LINE, 2)), range(106, 109))
    publish(JsonLinesSink(str(path), limit(2 * LINE, 2)), range(109, 110))
    kept = [frames_in(tmp_path / name) for name in ("log.2", "log.1", "log")]
    assert kept[0] == [102, 103]
    assert kept[1][:2] == [104, 105]
    assert kept[2] == [109]


@contextmanager
def room(size: int) -> Iterator[None]:
    """Let this process write no file longer than so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
