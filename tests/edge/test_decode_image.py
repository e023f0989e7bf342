"""Decoding image files: what claims more pixels than any camera has is refused undecoded."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

CODE = """
import resource, sys
from pathlib import Path
import edgefer
from edgefer.preprocess import decode_image
import cv2
image = decode_image(Path(sys.argv[1]).read_bytes(), cv2.IMREAD_COLOR)
print(None if image is None else image.shape, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def png(width: int, height: int) -> bytes:
    """Return a black PNG of one bit a pixel: small, however large it is."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer, row = zlib.compressobj(9), bytes(1 + -(-width // 8))
    rows = b"".join([packer.compress(row) for _ in range(height)]) + packer.flush()
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def decoded(path: Path) -> tuple[str, int]:
    """Return the shape of an image and the most memory, kB, of the process that decoded it."""
    command = [sys.executable, "-c", CODE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    shape, _, memory = done.stdout.strip().rpartition(" ")
    return shape, int(memory)


def test_an_image_larger_than_any_camera_takes_is_not_decoded(tmp_path: Path) -> None:
    usual, bomb = tmp_path / "usual.png", tmp_path / "bomb.png"
    usual.write_bytes(png(400, 300))
    bomb.write_bytes(png(30_000, 30_000))
    shape, memory = decoded(usual)
    assert shape == "(300, 400, 3)"
    assert decoded(bomb)[0] == "None"
    assert decoded(bomb)[1] < memory + 50_000
    bomb.write_bytes(png(9_000, 8_000))
    assert decoded(bomb)[0] == "None"
