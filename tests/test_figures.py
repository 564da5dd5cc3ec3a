"""The figures of README.md are those of the last runs of the benchmarks, benchmarks/results/."""

from __future__ import annotations

import json
import re
from decimal import ROUND_HALF_UP, Decimal

import pytest
from documents import README, ROOT, text_of

RESULTS = ROOT / "benchmarks" / "results"
WORDS = re.compile(r"1 % promised|SZ3|zstd 19")  # numbers that are no results
NUMBER = re.compile(r"\d+(?:\.\d+)?")
BOUND = "shuttle, 49,097 × 9, each value within 10, 1, 0.1 % of its column's range"
SERIES = "one model of all series, `entity`"
PCA = "residual of a PCA that keeps 95 %, windows of 64; of 128"
NEAREST = "distance to the 3 nearest clean windows of 64; of 128"
# start of a line of the README: for each of its figures, in order, where it stands: the result,
# the row, the column, which number of the cell, and by what it is multiplied
SHARE = "share of fresh clean rows flagged"
FIGURES = {
    "**A guarantee": [
        *(("false_alarms", n, SHARE, 0, 100) for n in ("100", "1,000", "10,000")),
        *(("false_alarms", n, "standard error", 0, 100) for n in ("100", "1,000", "10,000")),
    ],
    "**Detection**": [
        *(("detection_keel", "seed 0, as init proposes", "novelty", at, 1) for at in (0, 1)),
        *(("detection_keel", "seed 0", "kNN", at, 1) for at in (0, 1)),
    ],
    "on 19 ADBench tables": [
        *(("detection", "three seeds, as init proposes", "novelty", at, 1) for at in (0, 1)),
        *(("detection", "three seeds", "kNN", at, 1) for at in (0, 1)),
    ],
    "on 18 tables": [
        *(("mixed", "mean", "novelty", at, 1) for at in (0, 1)),
        *(("mixed", "mean", "kNN, one-hot", at, 1) for at in (0, 1)),
    ],
    "**Series**": [
        *(("series", SERIES, "SKAB valve 1 (16)", at, 1) for at in (0, 1)),
        *(("series", SERIES, "NAB (23)", at, 1) for at in (0, 1)),
        *(("series", PCA, "SKAB valve 1 (16)", at, 1) for at in (0, 1)),
        *(("series", NEAREST, "NAB (23)", at, 1) for at in (3, 4)),
    ],
    "the same readings": [
        ("detection", "SKAB valve 1, the anomaly-free run trains", column, 0, 1)
        for column in ("novelty", "kNN", "LOF")
    ],
    "**Fewer blind spots**": [
        ("blind_spots", "mean", "iterated", 1, 100),
        ("blind_spots", "mean", "iterated", 0, 100),
    ],
    "**A gate": [
        ("gate", "bad", "refused", 0, 1),
        ("gate", "bad", "of", 0, 1),
        ("gate", "good", "accepted", 0, 1),
        ("gate", "good", "of", 0, 1),
    ],
    "**Stores": [
        ("compression", BOUND, column, 1, 1)
        for column in ("this store", "SZ3", "rounding + zstd 19")
    ],
    "**Memory**": [
        ("memory", "HDF5", "1 million rows, peak MiB", 0, 1),
        ("memory", "HDF5", "4 million rows, peak MiB", 0, 1),
    ],
}


def lines_of_readme() -> dict[str, list[str]]:
    """The cells of each line of the table of figures, by its first cell."""
    part = text_of(README).partition("## What is different")[2].partition("\n## ")[0]
    lines = [line.strip("| \n").split(" | ") for line in part.splitlines() if line[:1] == "|"]
    return {cells[0].lstrip("| "): cells for cells in lines[2:]}


def numbers_in(text: str) -> list[str]:
    return NUMBER.findall(text)


def recorded(name: str, row: str, column: str, at: int, factor: int) -> Decimal:
    """One number of a result: the first table with that column, and the row that starts so."""
    content = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    for table in content["tables"]:
        for cells in table["rows"]:
            if column in table["head"] and (cells[0] == row or cells[0].startswith(f"{row} ")):
                cell = cells[table["head"].index(column)].replace(",", ", ")
                return Decimal(numbers_in(cell)[at]) * factor
    raise AssertionError(f"{name}.json: no row {row!r} with a column {column!r}")


@pytest.mark.parametrize("start", FIGURES)
def test_figures_of_the_readme_are_those_of_the_results(start):
    [cells] = [found for first, found in lines_of_readme().items() if first.startswith(start)]
    shown = numbers_in(cells[1]) + numbers_in(WORDS.sub("", cells[2]))
    found = [recorded(*where) for where in FIGURES[start]]

    assert shown == [
        str(number.quantize(Decimal(text), ROUND_HALF_UP))
        for text, number in zip(shown, found, strict=True)
    ]


def test_every_figure_of_the_readme_is_compared():
    assert len(lines_of_readme()) == len(FIGURES)


def test_a_run_is_kept_as_the_tables_that_it_prints(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from record import tables_in  # late: not in a package

    lines = [
        "Machine: 2 cores",
        "",
        "| set | ratio |",
        "|:--|--:|",
        "| a | 1.5 |",
        "| b | 2 |",
        "end",
    ]

    assert tables_in(lines) == [{"head": ["set", "ratio"], "rows": [["a", "1.5"], ["b", "2"]]}]
