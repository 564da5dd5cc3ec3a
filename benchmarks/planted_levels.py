"""Categories planted wrongly: are the rows found, and does the cause name the column?

    python benchmarks/planted_levels.py [--seeds 0 1 2]

In `adult` and in 200,000 generated transactions, one category of every test row gets a level that
was never seen, the level of another row, or a level that never occurs with another of the row's,
although 10 training rows would have both by chance. The models are those of the job file that
`nightglass init` writes, ranked by novelty.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from datasets import DATA, machine
from markdown_table import print_head, print_row
from mixed import split_table
from mixed_models import Fitted, fit
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from aemodel.explain.attribution import explain

TEST_ROWS = 2_000
EXPLAINED = 500
MOST_DRAWN = 2_000  # rows that swapped levels are drawn from
EXPECTED = 10  # rows with a pair of levels, were it due to chance
Values = dict[str, NDArray[np.object_]]
Row = dict[str, object]
Places = NDArray[np.intp]


def transactions(n: int, seed: int) -> pa.Table:
    """Card payments (n rows): item and amount follow from the shop, city from the country."""
    random = np.random.default_rng(seed)
    shop = random.choice(30, n, p=np.arange(30, 0, -1) / 465)
    country = random.choice(40, n, p=(p := 0.85 ** np.arange(40)) / p.sum())
    hour = np.where(random.random(n) < 0.97, random.normal(14, 3, n), random.uniform(0, 24, n)) % 24
    day = random.integers(0, 60, n)
    seconds = ((day * 24 + hour) * 3_600).astype("timedelta64[s]")
    return pa.table({
        "shop": [f"shop {each}" for each in shop],
        "item": [f"item {each}" for each in shop * 4 + random.integers(0, 4, n)],
        "country": [f"country {each}" for each in country],
        "city": [f"city {each}" for each in country * 3 + random.integers(0, 3, n)],
        "channel": random.choice(["chip", "online", "stripe"], n, p=[0.6, 0.35, 0.05]).tolist(),
        "amount": np.exp(random.normal(2 + shop % 5 / 2, 0.6, n)),
        "age": random.normal(45, 12, n).round(),
        "when": np.datetime64("2026-01-01T00:00:00") + seconds,
    })  # fmt: skip


def text_columns(table: pa.Table) -> list[str]:
    """The names of the categories."""
    return [each.name for each in table.schema if pa.types.is_string(each.type)]


@dataclass(frozen=True)
class Planted:
    """Rows with one wrong level each: which rows of the clean ones, and the changed columns."""

    rows: pa.Table
    places: Places
    columns: list[str]


def plant(train: pa.Table, clean: pa.Table, kind: str, seed: int) -> Planted:
    """Change one category of every clean row for which there is a level of this kind."""
    random, names = np.random.default_rng(seed), text_columns(clean)
    values = {name: np.array(clean[name].to_pylist(), object) for name in names}
    known = {name: np.array(train[name].to_pylist(), object) for name in names}
    chosen = random.integers(0, len(names), clean.num_rows)
    changed = {name: column.copy() for name, column in values.items()}
    places = []
    for place, name in enumerate(names[each] for each in chosen):
        row = {other: values[other][place] for other in names}
        levels = KINDS[kind](known, name, row)
        if levels:
            changed[name][place] = str(random.choice(levels))
            places.append(place)
    for name, column in changed.items():
        texts = pa.array(column.tolist(), pa.string())
        clean = clean.set_column(clean.column_names.index(name), name, texts)
    columns = [names[chosen[place]] for place in places]
    return Planted(clean.take(places), np.array(places, np.intp), columns)


def _unseen(_: Values, __: str, ___: Row) -> list[str]:
    return ["never seen"]


def _swapped(known: Values, name: str, row: Row) -> list[str]:
    """Levels of other rows, as often as they occur."""
    column = known[name]
    return [each for each in column[:MOST_DRAWN] if each not in (None, row[name])]


def _rare_pair(known: Values, name: str, row: Row) -> list[str]:
    """Levels that no row has with another level of this row, though EXPECTED rows would."""
    frequent = Counter(known[name].tolist())
    found: set[str] = set()
    for other in known:
        if other != name:
            together = known[name][known[other] == row[other]]
            share = len(together) / len(known[name])
            usual = {each for each, count in frequent.items() if count * share >= EXPECTED}
            found |= usual - set(together) - {None}
    return sorted(found)


KINDS: dict[str, Callable[[Values, str, Row], list[str]]] = {
    "never seen": _unseen,
    "swapped": _swapped,
    "rare pair": _rare_pair,
}


def figures(fitted: Fitted, train: pa.Table, clean: pa.Table, kind: str, seed: int) -> list[float]:
    """AUROC by error and by novelty, and the shares of causes that begin with the changed column.

    First by itself, then by itself or as the other half of the pair that is named first.
    """
    planted = plant(train, clean, kind, seed)
    before, after = fitted.scores(clean), fitted.scores(planted.rows)
    labels = np.repeat([0, 1], [len(clean), len(planted.places)])
    found = [roc_auc_score(labels, np.append(before[by], after[by])) for by in before]
    rows = fitted.read(planted.rows)[:EXPLAINED]
    causes = explain(fitted.model, fitted.model.rebuild(rows), by="novelty")
    first = [cause.features[0] for cause in causes]
    named = [each.name == name for each, name in zip(first, planted.columns, strict=False)]
    beside = [
        f" with {name} " in each.words for each, name in zip(first, planted.columns, strict=False)
    ]
    return [*found, float(np.mean(named)), float(np.mean(np.logical_or(named, beside)))]


def adult(seed: int) -> tuple[pa.Table, pa.Table]:
    """Clean rows to train and to plant in."""
    path = DATA / "mixed" / "adult_morethan50K_694.parquet"
    train, test, labels = split_table(path, seed)
    return train, test.take(np.flatnonzero(labels == 0)[:TEST_ROWS])


def generated(seed: int) -> tuple[pa.Table, pa.Table]:
    """Transactions to train on and to plant in."""
    return transactions(200_000, seed), transactions(TEST_ROWS, seed + 100)


def show(name: str, make: Callable[[int], tuple[pa.Table, pa.Table]], seeds: Sequence[int]) -> None:
    """Print a row for each kind of planted level."""
    found: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    for seed in seeds:
        train, clean = make(seed)
        fitted = fit(train, seed)
        for kind, each in found.items():
            each.append(figures(fitted, train, clean, kind, seed))
    for kind, each in found.items():
        print_row(name, kind, *(f"{figure:.3f}" for figure in np.mean(each, axis=0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    seeds = parser.parse_args().seeds
    print(machine())
    named = ("column named first", "or its pair")
    print_head("data", "planted", "AUROC error", "AUROC novelty", *named, left=2)
    show("adult", adult, seeds)
    show("transactions", generated, seeds)


if __name__ == "__main__":
    main()
