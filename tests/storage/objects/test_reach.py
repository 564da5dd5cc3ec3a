"""Commands for which a person waits give up soon where a service does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import Bench
from buckets import CUT

from storage.errors import ReadError
from storage.objects.reach import ATTEMPTS, reached


def test_a_service_that_does_not_answer_is_asked_twice(bucket):
    with (
        bucket.failing(lambda _: CUT) as requests,
        pytest.raises(ReadError, match=r"s3://rows/a: cannot be read .*check the network"),
    ):
        reached("s3://rows/a")

    assert len(requests) == ATTEMPTS


@pytest.mark.parametrize("answer", [None, (403, ""), (404, "")], ids=str)
def test_any_answer_will_do(bucket, answer):
    with bucket.failing(lambda _: answer):
        assert str(reached(Path("s3:/rows/a"))) == "s3://rows/a"
    assert reached("rows.csv") == Path("rows.csv")


@pytest.mark.parametrize(
    "words",
    [("init",), ("inspect",), ("verify",), ("decode", "--out", "a.npy"), ("pack", "--out", "a.h5")],
    ids=str,
)
def test_commands_give_up_soon(bucket, tmp_path, words):
    with bucket.failing(lambda _: CUT) as requests:
        failed = Bench(tmp_path).run(words[0], "s3://rows/a", *words[1:])

    assert failed.code == 2
    assert "check the network and the endpoint, then rerun" in failed.err
    assert len(requests) == ATTEMPTS
