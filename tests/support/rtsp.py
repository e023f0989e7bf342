"""A small RTSP server on loopback: motion JPEG over RTP, interleaved in the connection.

After RFC 2326 (RTSP), RFC 2435 (JPEG in RTP) and RFC 4566 (the description).
"""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

WIDTH, HEIGHT, RATE = 64, 48, 50
CLOCK = 90_000
"""Ticks a second of RTP's time for video."""
DESCRIPTION = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:0\r\n"
)
LUMA, CHROMA, SCAN = b"\xff\xdb\x00\x43\x00", b"\xff\xdb\x00\x43\x01", b"\xff\xda"


class Listener(socketserver.StreamRequestHandler):
    """One who watches."""

    def handle(self) -> None:
        """Answer requests; after PLAY send pictures until the server ends or the listener goes."""
        server = self.server
        assert isinstance(server, Server)
        while head := self._head():
            method, url = head[0].split()[:2]
            sequence = next(line for line in head if line.lower().startswith("cseq"))
            server.asked.append(method)
            lines, body = [sequence], ""
            if method == "DESCRIBE":
                lines += ["Content-Type: application/sdp", f"Content-Base: {url}/"]
                body = DESCRIPTION
            elif method == "SETUP":
                lines += ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
            elif method == "PLAY":
                lines += ["Session: 1"]
            lines += [f"Content-Length: {len(body)}"]
            self.wfile.write("\r\n".join(["RTSP/1.0 200 OK", *lines, "", body]).encode())
            if method == "PLAY":
                self._send(server)
                return

    def _head(self) -> list[str]:
        lines: list[str] = []
        while (line := self.rfile.readline().decode().strip()) or not lines:
            if not line:
                return []
            lines.append(line)
        return lines

    def _send(self, server: Server) -> None:
        try:
            for number in range(100_000):
                packet = rtp(number)
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                if server.ended.wait(1 / RATE):
                    return
        except OSError:
            """The listener left."""


class Server(socketserver.ThreadingTCPServer):
    """Serves everyone; remembers what it was asked."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Listener)
        self.ended = threading.Event()
        self.asked: list[str] = []


@contextmanager
def serving(port: int = 0) -> Iterator[Server]:
    """Serve on a port, any free one for 0; at the end whoever listens is cut off."""
    with Server(port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="rtsp")
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


def rtp(number: int) -> bytes:
    """Return the packet with one picture, an even grey; a whole one, for it is small."""
    image = np.full((HEIGHT, WIDTH, 3), number % 256, np.uint8)
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    content = cv2.imencode(".jpg", image, sampling)[1].tobytes()
    tables = b"".join(content.split(mark)[1][:64] for mark in (LUMA, CHROMA))
    start = content.index(SCAN)
    scan = content[start + 2 + int.from_bytes(content[start + 2 : start + 4], "big") : -2]
    # Marker bit and payload type 26; type 1 is 4:2:0, and Q 255 says that tables follow.
    head = struct.pack(">BBHII", 0x80, 0x80 | 26, number & 0xFFFF, number * CLOCK // RATE, 7)
    jpeg = struct.pack(">B3sBBBB", 0, b"\0\0\0", 1, 255, WIDTH // 8, HEIGHT // 8)
    return head + jpeg + struct.pack(">BBH", 0, 0, len(tables)) + tables + scan
