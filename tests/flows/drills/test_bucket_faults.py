"""Fault drills for object storage: outages, throttling, expired tokens, replaced and lost objects.

Nothing is lost, nothing half visible, the message says what to do, and no file or output of a
command holds a secret.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

import pytest
from bench import DAY, JOB, Bench, run_command, tree, write_rows
from buckets import CUT, KEY, SECRET, TOKEN, healthy
from kills import PROCESSES

from flows.engine import run_all
from flows.jobs.job_file import read_job
from flows.publishing.nights import unpublished_nights
from flows.scoring.catch_up import due_nights
from storage.nights.revisions import NightPlace
from storage.objects import systems
from storage.objects.lake_access import delta_options
from storage.objects.paths import located

RUN = "from flows.cli.app import main; main()"
BUSY = (503, "SlowDown")
PATIENCE = 3  # times as long on a busy machine
N = 40_000  # rows of a night: three shards of 1 MB


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a trained job on Parquet; NIGHTS stands for the prefix of its nights."""
    folder = tmp_path_factory.mktemp("job")
    job = JOB.replace(".npy", ".parquet").replace("nights/", "s3://rows/NIGHTS/")
    (folder / "small.toml").write_text(job)
    write_rows(folder / "clean.parquet", 1500, 0, row_group_size=5000)
    result = Bench(folder).run("train", folder / "small.toml")
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def job(trained, bucket, tmp_path) -> Bench:
    """The trained job with a night of its own in the bucket, in several shards."""
    shutil.copytree(trained, tmp_path / "job")
    found = Bench(tmp_path / "job")
    found.job.write_text(found.job.read_text().replace("NIGHTS", tmp_path.name))
    put_night(bucket, found, seed=5)
    return found


@pytest.fixture(autouse=True)
def no_secrets(tmp_path, capfd):
    """Search all that a drill leaves on disk or prints."""
    yield
    out, err = capfd.readouterr()
    texts = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    texts += [out.encode(), err.encode()]
    assert not [text for text in texts for each in (KEY, SECRET, TOKEN) if each.encode() in text]


@pytest.fixture
def impatient(monkeypatch):
    """Make clients give up at once."""
    monkeypatch.setattr(systems, "MOST_ATTEMPTS", 1)
    monkeypatch.setattr(run_all, "FIRST_DELAY", 0.0)
    systems.file_system.cache_clear()
    yield
    systems.file_system.cache_clear()


def put_night(bucket, job: Bench, *, seed: int) -> None:
    name = located(read_job(job.job).incoming(date.fromisoformat(DAY))).key
    rows = write_rows(job.folder / f"{seed}.parquet", N, seed, row_group_size=5000)
    bucket.put(name.removeprefix("rows/"), rows)


def publishing(job: Bench, prefix: str) -> Bench:
    job.job.write_text(f'{job.job.read_text()}[publish]\nbucket = "s3://rows/{prefix}"\n')
    return job


def score(job: Bench):
    result = job.score()
    assert not [each for each in (KEY, SECRET, TOKEN) if each in result.out + result.err]
    return result


def verdicts(job: Bench) -> list[str]:
    place = NightPlace(job.workspace, "small", DAY)
    return [place.summary(revision).verdict for revision in range(1, place.newest() + 1)]


def is_due(job: Bench) -> bool:
    return DAY in [night.date for night in due_nights(read_job(job.job), date.fromisoformat(DAY))]


def after(count: int, fault, *, of: str = "GET"):
    """A fault from the n-th request of a method on."""
    seen = itertools.count()
    return lambda request: fault if request.startswith(of) and next(seen) >= count else None


def first(count: int, fault):
    """A fault of the first requests alone."""
    seen = itertools.count()
    return lambda _: fault if next(seen) < count else None


@pytest.mark.slow
@pytest.mark.parametrize("fault", [CUT, BUSY, (500, "InternalError")], ids=str)
def test_a_short_outage_is_survived_by_retries(bucket, job, fault):
    with bucket.failing(first(3, fault)) as requests:
        survived = score(job)
    scores = tree(job.workspace / "scores")
    shutil.rmtree(job.workspace / "scores")
    shutil.rmtree(job.workspace / "reports")

    assert survived.code == 0
    assert len(requests) > 3
    assert score(job).code == 0
    assert tree(job.workspace / "scores") == scores


@pytest.mark.slow
def test_an_answer_that_never_comes_is_asked_for_again(bucket, job):
    over, is_first = threading.Event(), first(1, CUT)

    def hang(request):
        if is_first(request):
            over.wait(60)

    with bucket.failing(hang):
        survived = score(job)
        over.set()

    assert survived.code == 0


@pytest.mark.parametrize("fault", [CUT, BUSY], ids=str)
def test_a_long_outage_fails_the_night_which_stays_due(bucket, job, impatient, fault):
    with bucket.failing(after(0, fault, of="")):
        failed = score(job)
    due = is_due(job)

    assert failed.code == 1
    assert "cannot be read" in failed.err
    assert "rerun" in failed.err
    assert due
    assert score(job).code == 0
    assert verdicts(job) == ["FAILED", "FLOOD"]


@pytest.mark.parametrize("fault", [CUT, BUSY], ids=str)
def test_after_an_outage_in_the_middle_the_next_run_completes_the_night(
    bucket, job, impatient, fault
):
    with bucket.failing(after(8, fault)):
        interrupted = score(job)
    due = is_due(job)

    assert interrupted.code != 0
    assert due
    assert score(job).code == 0
    assert verdicts(job)[-1] == "FLOOD"


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ((400, "ExpiredToken"), "the credentials have expired; renew them, then rerun"),
        ((403, "AccessDenied"), "check the credentials and their permissions, then rerun"),
        ((403, "InvalidAccessKeyId"), "check the credentials and their permissions, then rerun"),
        ((404, "NoSuchBucket"), "check the name of the bucket"),
        ((301, "PermanentRedirect"), "set AWS_REGION to the region of the bucket"),
    ],
    ids=str,
)
def test_what_waiting_cannot_cure_is_refused_soon_with_what_to_do(bucket, job, fault, advice):
    with bucket.failing(after(0, fault)) as requests:
        failed = score(job)

    assert failed.code == 1
    assert advice in failed.err
    assert len(requests) < 20
    assert verdicts(job) == ["FAILED"]


def test_credentials_that_expire_in_the_middle_fail_the_night(bucket, job, monkeypatch):
    monkeypatch.setattr(run_all, "FIRST_DELAY", 0.0)
    with bucket.failing(after(8, (400, "ExpiredToken"))):
        failed = score(job)

    assert failed.code != 0
    assert "the credentials have expired; renew them" in failed.err
    assert is_due(job)
    assert score(job).code == 0


def test_a_head_without_a_reason_says_that_credentials_may_have_expired(bucket, job):
    with bucket.failing(after(0, (400, ""), of="HEAD")):
        failed = score(job)

    assert "check whether the credentials have expired" in failed.err


@pytest.mark.parametrize("reads", [3, 4, 5])
def test_an_object_replaced_in_the_middle_publishes_nothing(bucket, job, reads):
    seen = itertools.count()

    def replace(request):
        if request.startswith("GET") and request.endswith(".parquet") and next(seen) == reads:
            bucket.app.fault = healthy
            put_night(bucket, job, seed=6)

    with bucket.failing(replace):
        failed = score(job)
    published = verdicts(job)

    assert failed.code == 2
    assert "changed while it was read; rerun" in failed.err
    assert published == []
    assert score(job).code == 0


def test_a_bucket_that_is_gone_is_a_failure_and_not_a_night_without_data(bucket, job):
    text = job.job.read_text()
    job.job.write_text(text.replace("s3://rows/", "s3://gone/"))
    failed = score(job)
    job.job.write_text(text)

    assert failed.code == 1
    assert "check the name of the bucket" in failed.err
    assert verdicts(job) == ["FAILED"]
    assert score(job).code == 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", [CUT, BUSY, (403, "AccessDenied")], ids=str)
@pytest.mark.parametrize("count", [0, 2, 5])
def test_a_publication_that_fails_half_way_is_completed_by_the_next_run(
    bucket, job, impatient, fault, count
):
    prefix = f"{job.folder.parent.name}-results"
    with bucket.failing(after(count, fault, of="PUT")):
        scored = score(publishing(job, prefix))
    partial = folders(prefix)

    assert scored.code == 0
    assert "not written to" in scored.err
    assert not any("manifest.json" in names for names in partial.values())
    assert unpublished(job) == [DAY]
    score(job)
    assert unpublished(job) == []
    assert without_manifest(prefix) == ["reports/small"]


@pytest.mark.slow
def test_a_publication_that_is_killed_half_way_is_completed_by_the_next_run(bucket, job):
    prefix = f"{job.folder.parent.name}-results"
    command = Command(publishing(job, prefix), at=(4, "PUT"), signal=signal.SIGKILL)
    with bucket.failing(command.fault):
        command.run_until_killed()
    partial = folders(prefix)

    assert partial
    assert not any("manifest.json" in names for names in partial.values())
    score(job)
    assert unpublished(job) == []
    assert without_manifest(prefix) == ["reports/small"]


@pytest.mark.slow
@pytest.mark.parametrize("at", [(0, "PUT"), (1, "PUT"), (3, "PUT")], ids=str)
def test_a_delta_table_whose_writing_is_killed_has_no_rows_or_all(bucket, job, at):
    deltalake = pytest.importorskip("deltalake")
    root = located(f"s3://rows/{job.folder.parent.name}-lake")
    tables = f'delta_scores = "{root}/scores"\ndelta_outliers = "{root}/outliers"\n'
    job.job.write_text(f"{job.job.read_text()}[publish]\n{tables}")
    command = Command(job, at=at, signal=signal.SIGKILL)
    with bucket.failing(command.fault):
        code = command.run_until_killed()
    committed = {name for name in root.sizes() if name.startswith("scores/_delta_log/")}
    score(job)
    table = deltalake.DeltaTable(f"{root}/scores", storage_options=delta_options(root))

    assert code == -signal.SIGKILL
    assert len(committed) == (at[0] > 1)  # after the file of the rows
    assert table.to_pyarrow_table().num_rows == N
    assert unpublished(job) == []


@pytest.mark.slow
@pytest.mark.parametrize("at", [(8, "GET"), (0, "PUT"), (3, "PUT"), (8, "PUT")], ids=str)
def test_a_store_whose_encoding_is_killed_is_resumed_to_the_same_bytes(bucket, job, at):
    prefix = f"{job.folder.parent.name}-store"
    words = ("encode", "--date", DAY, "--out", f"s3://rows/{prefix}")
    command = Command(job, at=at, signal=signal.SIGKILL, words=words)
    with bucket.failing(command.fault):
        code = command.run_until_killed()
    partial = folders(prefix)
    resumed = job.run("encode", job.job, *words[1:])
    whole = job.run("encode", job.job, *words[1:3], "--out", job.folder / "whole")

    assert [code, resumed.code, whole.code] == [-signal.SIGKILL, 0, 0]
    assert not any("manifest.json" in names for names in partial.values())
    root = located(f"s3://rows/{prefix}")
    found = {name: (root / name).read_bytes() for name in root.sizes() if name != "run.json"}
    assert found == tree(job.folder / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("at", [(0, "HEAD"), (6, "GET"), (1, "PUT")], ids=str)
def test_ctrl_c_ends_a_command_that_waits_for_a_server(bucket, job, at):
    command = Command(publishing(job, f"{job.folder.parent.name}-results"), at=at)
    with bucket.failing(command.fault):
        code, seconds = command.run()

    assert code == 130
    assert seconds < 2 * PATIENCE


class Command:
    """A process that gets a signal at one of its requests, which are cut from then on.

    at: how many requests of which method are answered before. words: the command on the job.
    """

    def __init__(
        self,
        job: Bench,
        *,
        at: tuple[int, str],
        signal: int = signal.SIGINT,
        words: tuple[str, ...] = ("score", "--date", DAY),
    ) -> None:
        self._words = [words[0], str(job.job), *words[1:]]
        self._output = job.folder / "output.txt"
        self._fault, self._signal = after(at[0], CUT, of=at[1]), signal
        self._sent = 0.0

    def run(self) -> tuple[int, float]:
        """Return the exit code, and the seconds that the process lived after the signal."""
        with self._output.open("w") as output:
            line = [sys.executable, "-c", RUN, *self._words]
            process = subprocess.Popen(line, stdout=output, stderr=output)
            self._pid = process.pid
            code = process.wait()
        return code, time.monotonic() - self._sent

    def run_until_killed(self) -> int:
        """Run in a child of the fork server, which starts faster; return its exit code."""
        process = PROCESSES.Process(
            target=run_there, args=(dict(os.environ), self._words, self._output)
        )
        process.start()
        self._pid = process.pid
        process.join()
        return process.exitcode

    def fault(self, request: str):
        found = self._fault(request)
        if found and not self._sent:
            os.kill(self._pid, self._signal)
            self._sent = time.monotonic()
        return CUT if self._sent else None


def run_there(environment: dict[str, str], words: list[str], output: Path) -> None:
    os.environ.update(environment)
    run_command(words, output)


def unpublished(job: Bench) -> list[str]:
    return [each.night.date for each in unpublished_nights(read_job(job.job))]


def without_manifest(prefix: str) -> list[str]:
    return [name for name, files in folders(prefix).items() if "manifest.json" not in files]


def folders(prefix: str) -> dict[str, set[str]]:
    """Names of the objects of each folder below a prefix."""
    found: dict[str, set[str]] = {}
    root = located(f"s3://rows/{prefix}")
    for each in root.objects():
        found.setdefault(str(each.parent.relative_to(root)), set()).add(each.name)
    return found
