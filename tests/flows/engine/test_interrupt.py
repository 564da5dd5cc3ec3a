"""Ctrl-C ends a command within two seconds, with 130 and one true line; a second one at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from bench import DAY

from flows.engine.run_all import run_in_threads

SCRIPT = """
import time
from flows.cli.terminal import reporting
from flows.engine import interrupt
from flows.engine.run_all import run_in_threads

def work(item):
    print("ready\\n", end="", flush=True)  # in one piece: two threads do
    {work}

with reporting(as_json=False, interrupted="rerun to resume"):
    list(run_in_threads(2)(work, range(8)))
"""
COMPUTES = "while True: pass"
STUCK = "time.sleep(1000)"  # deaf to Ctrl-C, as any long call into C is in a thread
LINE = "Interrupted; rerun to resume\n"
END = 4.0  # seconds: the two that are promised, and two for a busy machine


@pytest.fixture
def command():
    """Start a command that does nothing but `work` in two threads, and wait until it works."""
    started = []

    def start(work: str, setting: str = "") -> subprocess.Popen[str]:
        script = SCRIPT.format(work=work).replace("\ndef work", f"{setting}\ndef work")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen([sys.executable, "-c", script], **pipes)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("work", [COMPUTES, STUCK])
def test_ctrl_c_ends_the_command_in_time_with_130_and_how_to_continue(command, work):
    process = command(work)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert time.monotonic() - began < END
    assert (process.returncode, err) == (130, LINE)


def test_a_second_ctrl_c_ends_the_command_at_once_and_without_a_traceback(command):
    process = command(STUCK, "interrupt.GRACE = 1000")
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue

    assert (process.returncode, process.stderr.read()) == (130, LINE)


def test_ctrl_c_that_reaches_a_thread_is_no_failed_item():
    def work(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        list(run_in_threads(1)(work, ["a"]))


@pytest.mark.parametrize(
    ("words", "place", "kept"),
    [
        (
            ["train", "JOB"],
            "flows.orchestration.local.train_model",
            "rerun to resume after the last checkpoint, or to start over if there is none yet",
        ),
        (["encode", "JOB"], "flows.encoding.encode.encode_rows", "finished shards are kept"),
        (
            ["score", "JOB", "--date", DAY],
            "flows.orchestration.local.score_night",
            "shards are kept",
        ),
        (["decode", "STORE", "--out", "a.npy"], "flows.encoding.decode.open_store", "is not kept"),
        (["prune", "JOB"], "flows.operations.prune.prune", "Interrupted; rerun to start over"),
        (["prune", "JOB", "--yes"], "flows.operations.prune.prune", "deleted stays deleted"),
    ],
)
def test_the_line_promises_only_what_is_kept(bench, monkeypatch, words, place, kept):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(place, interrupt)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    result = bench.run(*(str(bench.job) if word == "JOB" else word for word in words))

    assert (result.code, result.out) == (130, "")
    assert kept in result.err
