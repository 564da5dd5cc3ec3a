"""Runs on a temporary Prefect server: nothing that it keeps holds a password."""

from __future__ import annotations

import subprocess
import sys

import pytest
from bench import DAY
from databases import VARIABLE

CODE = """
import os, sys
from flows.cli.demo import TEMPORARY_SERVER
os.environ.update(TEMPORARY_SERVER, PREFECT_HOME=sys.argv[2])
import flows.engine.run_all
flows.engine.run_all.FIRST_DELAY = 0
from flows.jobs.requests import ScoreRequest
from flows.orchestration.prefect_flows import PrefectBackend

for uri in (os.environ[sys.argv[3]], "postgresql://user:geheim@127.0.0.1:1/shop"):
    os.environ[sys.argv[3]] = uri
    try:
        print(PrefectBackend().score(ScoreRequest(job=sys.argv[1], date=sys.argv[4])).to_text())
    except Exception as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.parametrize("sales", ["sqlite"], indirect=True)
def test_a_server_never_sees_a_password(bench, sales, tmp_path):
    server = tmp_path / "prefect"
    words = [sys.executable, "-c", CODE, str(bench.job), str(server), VARIABLE, DAY]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    kept = b"".join(path.read_bytes() for path in server.rglob("*") if path.is_file())

    assert f"{DAY}: OK" in done.stdout
    assert "check that the database runs" in done.stdout
    assert f"score-small-{DAY}".encode() in kept
    assert b"geheim" not in kept + (done.stdout + done.stderr).encode()
