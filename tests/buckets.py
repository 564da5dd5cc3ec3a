"""An S3 server on this machine, which fails when a test wants it to."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from pyarrow import fs
from werkzeug.serving import make_server

from storage.objects.systems import file_system

KEY, SECRET, TOKEN = "the-key-of-the-test", "the-secret-of-the-test", "the-token-of-the-test"
CUT = (0, "")  # the connection, without an answer
# Takes "GET /bucket/name"; returns status and code of an error, CUT, or None to answer as usual.
Fault = Callable[[str], tuple[int, str] | None]


def healthy(_: str) -> None:
    """Answer as usual."""


@contextmanager
def s3_server() -> Iterator[Bucket]:
    """Run a server with one empty bucket, which the environment's variables name."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = FaultyApp()
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    chain = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
        "AWS_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in chain.items():
            patch.setenv(name, value)
        file_system.cache_clear()
        yield Bucket(os.environ["AWS_ENDPOINT_URL"], app)
        file_system.cache_clear()
    server.shutdown()
    thread.join()


class FaultyApp:
    """Moto, with faults in front."""

    def __init__(self) -> None:
        self.fault: Fault = healthy
        self.requests: list[str] = []
        self._app = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        self.requests.append(request)
        answer = self.fault(request)
        if answer is None:
            return self._app(environ, start_response)
        if answer == CUT:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionError
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, code = answer
        start_response(f"{status} {HTTPStatus(status).phrase}", [("Content-Type", "text/xml")])
        said = f"<Error><Code>{code}</Code><Message>refused</Message><Token-0>{TOKEN}</Token-0>"
        return [] if request.startswith("HEAD") else [f"{said}</Error>".encode()]


class Bucket:
    """An empty bucket."""

    name = "rows"

    def __init__(self, endpoint: str, app: FaultyApp) -> None:
        self.app, self.endpoint = app, endpoint
        self.system = fs.S3FileSystem(endpoint_override=endpoint, allow_bucket_creation=True)
        self.system.create_dir(self.name)

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[list[str]]:
        """Let `fault` answer; yield the requests that arrive."""
        self.app.fault, self.app.requests = fault, []
        try:
            yield self.app.requests
        finally:
            self.app.fault = healthy

    def put(self, key: str, content: bytes | Path) -> str:
        """Write an object; return its URI."""
        whole = content.read_bytes() if isinstance(content, Path) else content
        with self.system.open_output_stream(f"{self.name}/{key}", compression=None) as stream:
            stream.write(whole)
        return f"s3://{self.name}/{key}"

    def upload(self, folder: Path, prefix: str) -> str:
        """Write all files of a folder; return the URI of the prefix."""
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put(f"{prefix}/{file.relative_to(folder).as_posix()}", file)
        return f"s3://{self.name}/{prefix}"
