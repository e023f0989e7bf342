"""Files and folders come to be whole or not at all."""

import os
import threading
from pathlib import Path

import pytest

from edgefer.files import atomic_folder, from_zip, to_zip, write_atomic


def test_writes_text_and_bytes_and_leaves_nothing_beside(tmp_path: Path) -> None:
    write_atomic(tmp_path / "text", "grüße\n")
    write_atomic(tmp_path / "bytes", b"\x00\xff")
    assert (tmp_path / "text").read_bytes() == "grüße\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bytes", "text"]


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "new", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_an_older_file_keeps_its_mode_but_not_its_inode(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(0o600)
    reader = path.open("rb")
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    with reader:
        assert reader.read() == b"old"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to("folder/target")
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_pipe_and_a_device_are_written_into(tmp_path: Path) -> None:
    pipe, heard = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_atomic(pipe, b"through")
    reader.join(10)
    assert heard == [b"through"]
    assert pipe.is_fifo()
    write_atomic(Path(os.devnull), b"gone")
    assert Path(os.devnull).is_char_device()


def test_a_failure_leaves_the_older_file_and_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path, b"")


def test_two_writers_never_mix(tmp_path: Path) -> None:
    path, contents = tmp_path / "file", [letter * 100_000 for letter in (b"a", b"b")]

    def write(content: bytes) -> None:
        for _ in range(20):
            write_atomic(path, content)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    for name in ("first", "second"):
        with atomic_folder(out) as folder:
            (folder / name).write_text(name)
            assert folder != out
    assert [path.name for path in out.iterdir()] == ["second"]
    assert list(out.parent.iterdir()) == [out]


def test_a_failed_block_leaves_the_older_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with atomic_folder(out) as folder:
        (folder / "old").touch()
    with pytest.raises(ZeroDivisionError), atomic_folder(out) as folder:
        (folder / "new").touch()
        raise ZeroDivisionError
    assert [path.name for path in out.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_never_replaces_a_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    with pytest.raises(NotADirectoryError), atomic_folder(out):
        pass
    assert out.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [out]


def test_a_linked_folder_stays_linked(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to("real")
    with atomic_folder(link) as folder:
        (folder / "file").touch()
    assert link.is_symlink()
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["file"]


def test_equal_contents_give_equal_archives() -> None:
    archive = to_zip({"b": b"2", "a/c": b"1"})
    assert archive == to_zip({"a/c": b"1", "b": b"2"})
    assert list(from_zip(archive).items()) == [("a/c", b"1"), ("b", b"2")]
