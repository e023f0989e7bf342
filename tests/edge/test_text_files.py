"""Text files of any origin are read, or refused in one line that names the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefer.errors import DatasetError, SettingsError
from edgefer.settings import read_toml
from edgefer.text_files import decode_text, read_table, read_text


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_utf8_with_and_without_a_byte_order_mark_and_either_line_end(
    mark: bytes, end: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(mark + f'name = "Jörg"{end}age = 3{end}'.encode())
    assert read_toml(path) == {"name": "Jörg", "age": 3}
    assert read_text(path) == f'name = "Jörg"{end}age = 3{end}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a = 1\n# grüße\n".encode("latin-1"), "f, line 2: expected UTF-8, got other bytes"),
        ("a = 1\n".encode("utf-16"), "f: is UTF-16, expected UTF-8; save it as UTF-8"),
        ("a = 1\n".encode("utf-16-be"), "f, line 1: expected UTF-8"),
        (b"a = 1\n\0", "f, line 2: expected UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0", "f, line 1: expected UTF-8"),
    ],
)
def test_anything_else_is_refused_in_one_line_that_shows_nothing_of_it(
    content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(SettingsError, match=message) as caught:
        read_text(tmp_path / "f")
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(SettingsError, match=f"^{message}"):
        decode_text(content, "f")


def test_a_file_that_is_absent_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="none: no such file"):
        read_text(tmp_path / "none")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        read_text(tmp_path)


def test_a_tables_header_is_matched_without_case_spaces_and_order(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(
        b'\xef\xbb\xbf usage, "Pixels" ,EMOTION\r\n Training,"1 2", 3\r\n\r\nshort\r\n'
    )
    assert read_table(path, ("emotion", "pixels", "Usage"), "get it") == [
        (2, {"emotion": "3", "pixels": "1 2", "Usage": "Training"}),
        (4, {"emotion": "", "pixels": "", "Usage": "short"}),
    ]
    with pytest.raises(DatasetError, match=r"table\.csv: column 'sex' is missing; get it"):
        read_table(path, ("sex",), "get it")
