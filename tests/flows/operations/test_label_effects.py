"""What labels do: known kinds are not counted, confirmed outliers leave the clean rows."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from bench import DAY, Bench, rows_of

pytestmark = pytest.mark.slow
NEXT = "2026-11-23"
KIND, OTHER = 0, 5  # columns in which rows stand out


def night(bench, day: str, *, kind: int, other: int, seed: int) -> None:
    """Write a night whose first rows are far off in one column, and the next ones in another."""
    rows = rows_of(300, seed)
    rows[:kind, KIND] += 40
    rows[kind : kind + other, OTHER] -= 40
    (bench.folder / "nights").mkdir(exist_ok=True)
    np.save(bench.folder / f"nights/{day}.npy", rows)


def label(bench, *lines: str, words: tuple[str, ...] = ()):
    file = bench.folder / "labels.csv"
    file.write_text("\n".join(["date,id,row,label", *lines, ""]))
    return bench.run("label", bench.job, file, "--author", "ann", *words)


def labels_of(bench) -> list[dict[str, str]]:
    lines = (bench.workspace / "labels/small.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def summary_of(bench, day: str, revision: int = 1) -> dict[str, object]:
    path = bench.workspace / f"reports/small/{day}/rev={revision}/summary.json"
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def first_night(trained_folder, tmp_path_factory):
    """A scored night with six rows of one kind and two of another, and the input of the next."""
    folder = tmp_path_factory.mktemp("labels") / "job"
    bench = Bench(shutil.copytree(trained_folder, folder, copy_function=shutil.copy2))
    night(bench, DAY, kind=6, other=2, seed=5)
    night(bench, NEXT, kind=5, other=20, seed=6)
    assert bench.score().code == 0
    return folder


@pytest.fixture
def labeled(first_night, tmp_path):
    """The same, with one row of the larger kind labeled normal until the end of the year."""
    bench = Bench(shutil.copytree(first_night, tmp_path / "job", copy_function=shutil.copy2))
    found = label(bench, f"{DAY},0,0,normal", words=("--expires", "2999-12-31"))
    assert found.code == 0, found.err
    return bench


def test_rows_of_a_known_kind_are_counted_apart_and_not_in_the_verdict(labeled):
    found = labeled.score(day=NEXT)
    report = labeled.workspace / f"reports/small/{NEXT}/rev=1"
    page = (report / "report.html").read_text()

    assert found.facts["known_normal"] == 5
    assert found.facts["verdict"] == f"REVIEW {found.facts['flagged'] - 5}"
    assert "5 known normal, label of ann until 2999-12-31." in page
    assert f"{found.facts['flagged'] - 5} unusual of 300" in page
    [note] = [each for each in summary_of(labeled, NEXT)["notes"] if "known normal" in each]
    assert note.endswith("known normal: label of ann until 2999-12-31")


def test_known_rows_stay_in_the_lists(labeled):
    labeled.score(day=NEXT)
    lines = (labeled.workspace / f"reports/small/{NEXT}/rev=1/outliers.csv").read_text()

    page = (labeled.workspace / f"reports/small/{NEXT}/rev=1/report.html").read_text()

    assert page.count('<span class="kind">known normal</span>') == 5
    assert page.count("known normal: label of ann until 2999-12-31</span>") == 1
    assert {f'"{row}"' for row in range(5)} <= set(lines.replace("\n", ",").split(","))


def test_the_night_of_the_label_stays_as_it_is(labeled):
    again = labeled.score()

    assert (again.facts["written"], summary_of(labeled, DAY)["known_normal"]) == (False, 0)


def test_a_later_night_is_judged_again_once_its_kind_is_labeled(first_night, tmp_path):
    bench = Bench(shutil.copytree(first_night, tmp_path / "job", copy_function=shutil.copy2))
    bench.score(day=NEXT)
    label(bench, f"{DAY},0,0,normal")
    found = bench.score(day=NEXT)

    assert (found.facts["revision"], found.facts["known_normal"]) == (2, 5)


def test_an_expired_label_suppresses_nothing(labeled):
    path = labeled.workspace / "labels/small.jsonl"
    path.write_text(path.read_text().replace("2999-12-31", DAY))

    assert labeled.score(day=NEXT).facts["known_normal"] == 0


def test_a_night_that_only_holds_known_kinds_needs_no_review(labeled):
    night(labeled, NEXT, kind=4, other=0, seed=11)
    found = labeled.score(day=NEXT)

    assert (found.facts["verdict"], found.facts["known_normal"]) == ("OK", 4)


def test_labels_say_who_when_and_until_when(first_night, tmp_path, monkeypatch):
    monkeypatch.setenv("LOGNAME", "bob")
    bench = Bench(shutil.copytree(first_night, tmp_path / "job", copy_function=shutil.copy2))
    file = bench.folder / "labels.csv"
    file.write_text(f"date,id,label\n{DAY},0,normal\n{DAY},7,outlier\n")
    assert bench.run("label", bench.job, file).code == 0
    normal, outlier = labels_of(bench)
    days = np.datetime64(normal["expires"]) - np.datetime64(normal["labeled"])

    assert (normal["author"], int(days / np.timedelta64(1, "D"))) == ("bob", 90)
    assert outlier["expires"] == ""


@pytest.mark.parametrize("day", ["2020-01-01", "soon"])
def test_an_expiry_in_the_past_or_no_date_is_refused(labeled, day):
    found = label(labeled, f"{DAY},1,1,normal", words=("--expires", day))

    assert (found.code, day in found.err) == (2, True)


def test_confirmed_outliers_leave_the_clean_rows_of_the_next_training(labeled):
    clean = np.load(labeled.folder / "clean.npy")
    nights = np.load(labeled.folder / f"nights/{DAY}.npy")
    label(labeled, f"{DAY},6,6,outlier", f"{DAY},7,7,outlier")
    before = labeled.run("train", labeled.job).facts
    np.save(labeled.folder / "clean.npy", np.concatenate([clean, nights[6:8]]))
    after = labeled.run("train", labeled.job).facts

    assert "confirmed outliers left out" not in before["not_read"]
    assert after["not_read"]["confirmed outliers left out"] == "2, by their labels"
    assert (before["rows"], after["rows"]) == (len(clean), len(clean))
    assert after["model_id"] == before["model_id"]
