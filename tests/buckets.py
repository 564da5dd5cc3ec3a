"""An S3 server on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from pyarrow import fs

from storage.objects.systems import file_system

KEY, SECRET = "the-key-of-the-test", "the-secret-of-the-test"


@contextmanager
def s3_server() -> Iterator[Bucket]:
    """Run a server with one empty bucket, which the environment's variables name."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    chain = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in chain.items():
            patch.setenv(name, value)
        file_system.cache_clear()
        yield Bucket(os.environ["AWS_ENDPOINT_URL"])
        file_system.cache_clear()
    server.stop()


class Bucket:
    """An empty bucket."""

    name = "rows"

    def __init__(self, endpoint: str) -> None:
        self.system = fs.S3FileSystem(endpoint_override=endpoint, allow_bucket_creation=True)
        self.system.create_dir(self.name)

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
