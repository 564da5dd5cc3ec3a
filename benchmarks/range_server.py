"""An S3 server of one folder that can only be read: HEAD, GET with Range, and empty lists."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar

EMPTY = (
    b"<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"
)
STOP, COUNTED = "stop", "counted"


class Files(BaseHTTPRequestHandler):
    """Serves /BUCKET/NAME from the file NAME of `folder`; counts requests and bytes of content."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    folder: ClassVar[Path]
    sent: ClassVar[list[int]] = []  # bytes of each answer with content

    def do_HEAD(self) -> None:
        """Answer with size, ETag, and time of a file."""
        file = self._file()
        if file.is_file():
            self._begin(200, file, file.stat().st_size)
        else:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def do_GET(self) -> None:
        """Answer with the bytes of a file that are asked for, or with an empty list."""
        file = self._file()
        if file.is_file():
            self._send_range(file)
        else:
            self._send_empty_list()

    def _send_range(self, file: Path) -> None:
        size = file.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "bytes=0-")
        assert asked, self.headers["Range"]
        first = int(asked[1])
        last = min(int(asked[2] or size), size - 1)
        self._begin(206, file, last - first + 1, f"bytes {first}-{last}/{size}")
        self._send(file, first, last - first + 1)

    def _file(self) -> Path:
        return self.folder / self.path.partition("?")[0].removeprefix("/").partition("/")[2]

    def _begin(self, status: int, file: Path, length: int, span: str = "") -> None:
        found = file.stat()
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", f'"{found.st_mtime_ns:x}"')
        self.send_header("Last-Modified", formatdate(found.st_mtime, usegmt=True))
        if span:
            self.send_header("Content-Range", span)
        self.end_headers()

    def _send(self, file: Path, first: int, length: int) -> None:
        self.wfile.flush()
        self.sent.append(length)
        with file.open("rb") as opened:
            while length:
                done = os.sendfile(self.connection.fileno(), opened.fileno(), first, length)
                first, length = first + done, length - done

    def _send_empty_list(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(EMPTY)))
        self.end_headers()
        self.wfile.write(EMPTY)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Server:
    """A server in a process of its own."""

    def __init__(self, line: Connection, endpoint: str) -> None:
        self._line = line
        self.endpoint = endpoint

    def counted(self) -> tuple[int, int]:
        """Return the GET requests answered since the last call, and their bytes."""
        self._line.send(COUNTED)
        requests, size = self._line.recv()
        return requests, size


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve the files of a folder."""
    spawn = get_context("spawn")
    line, other = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(folder, other))
    process.start()
    try:
        yield Server(line, f"http://127.0.0.1:{line.recv()}")
    finally:
        line.send(STOP)
        process.join()


def _serve(folder: Path, line: Connection) -> None:
    from threading import Thread

    Files.folder = folder
    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        line.send(server.server_port)
        while line.recv() != STOP:
            line.send((len(Files.sent), sum(Files.sent)))
            Files.sent.clear()
        server.shutdown()
