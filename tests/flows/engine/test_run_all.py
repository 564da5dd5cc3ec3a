"""run_all: every item gets exactly one outcome; refused reads are retried, bad data is not."""

from __future__ import annotations

import threading

import pytest

from flows.engine import run_all as engine
from flows.engine.run_all import only_value, run_in_threads
from storage.errors import ReadError


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(engine, "FIRST_DELAY", 0.0)


def test_every_item_has_one_outcome_for_any_number_of_workers():
    for workers in (1, 3):
        outcomes = list(run_in_threads(workers)(lambda item: item * item, range(50)))
        assert sorted((outcome.item, outcome.value) for outcome in outcomes) == [
            (item, item * item) for item in range(50)
        ]


def test_no_items_is_no_work():
    assert list(run_in_threads(2)(lambda item: item, [])) == []


def test_an_error_is_an_outcome_and_other_items_continue():
    def work(item):
        if item == 3:
            raise ValueError("bad row")
        return item

    outcomes = {outcome.item: outcome for outcome in run_in_threads(2)(work, range(6))}

    assert str(outcomes[3].error) == "bad row"
    assert [outcomes[item].value for item in (0, 1, 2, 4, 5)] == [0, 1, 2, 4, 5]


@pytest.mark.parametrize("refused", [OSError("busy"), ReadError("rows.npy: cannot be read")])
def test_what_the_operating_system_refuses_is_retried(refused):
    refusals = iter([True, True, False])

    def work(item):
        if next(refusals):
            raise refused
        return "done"

    assert only_value(run_in_threads(1)(work, ["a"])) == "done"


def test_bad_data_is_not_retried():
    tries = []

    def work(item):
        tries.append(item)
        raise ValueError("bad")

    list(run_in_threads(1)(work, ["a"]))

    assert tries == ["a"]


def test_only_a_window_of_items_is_in_flight():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    class Lazy:
        def __len__(self):
            return 100

        def __iter__(self):
            return items()

    outcomes = run_in_threads(2)(lambda item: item, Lazy())
    next(outcomes)

    assert len(taken) <= 4
    outcomes.close()


def test_closing_early_stops_all_threads():
    outcomes = run_in_threads(2)(lambda item: item, range(10))
    next(outcomes)
    outcomes.close()

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("nightglass")]


def test_the_error_of_a_single_item_is_raised():
    def work(item):
        raise ValueError("nothing fits")

    with pytest.raises(ValueError, match="nothing fits"):
        only_value(run_in_threads(1)(work, ["a"]))
