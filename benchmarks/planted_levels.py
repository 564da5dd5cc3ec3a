"""Categories planted wrongly: are the rows found, and does the cause name the column?

    python benchmarks/planted_levels.py [--seeds 0 1 2]

In `adult` and in 200,000 generated transactions, one category of every test row gets a level that
was never seen, the level of another row, or a level that never occurs with another of the row. The
models are those of the job file that `nightglass init` writes, ranked by novelty.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from datasets import DATA, machine
from markdown_table import print_head, print_row
from mixed import split_table
from mixed_models import Fitted, fit
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from aemodel.explain.attribution import explain

TEST_ROWS = 4_000
EXPLAINED = 500
Values = dict[str, NDArray[np.object_]]
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


def plant(table: pa.Table, kind: str, seed: int) -> tuple[pa.Table, list[str]]:
    """Change one category of every row; return the rows, and which column each has changed."""
    random, names = np.random.default_rng(seed), text_columns(table)
    values = {name: np.array(table[name].to_pylist(), object) for name in names}
    chosen = random.integers(0, len(names), table.num_rows)
    for index, name in enumerate(names):
        rows = np.flatnonzero(chosen == index)
        changed = values[name].copy()
        changed[rows] = KINDS[kind](values, name, rows, random)
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(changed.tolist(), pa.string()))
    return table, [names[each] for each in chosen]


def _unseen(_: Values, __: str, rows: Places, ___: np.random.Generator) -> list[str]:
    return ["never seen"] * len(rows)


def _swapped(values: Values, name: str, rows: Places, random: np.random.Generator) -> list[str]:
    """Take another level, as often as it occurs."""
    column = values[name]
    return [str(random.choice(column[column != column[row]])) for row in rows]


def _rare_pair(values: Values, name: str, rows: Places, random: np.random.Generator) -> list[str]:
    """Take a level that never occurs with the row's level of the column that depends most."""
    column, others = values[name], [each for each in values if each != name]
    partner = values[max(others, key=lambda each: _missing_pairs(column, values[each]))]
    absent = {
        level: sorted({*map(str, column)} - {*map(str, column[partner == level])})
        for level in set(partner)
    }
    return [
        str(random.choice(absent[partner[row]])) if absent[partner[row]] else str(column[row])
        for row in rows
    ]


def _missing_pairs(first: NDArray[np.object_], second: NDArray[np.object_]) -> float:
    """Share of the pairs of levels of two columns that never occur."""
    pairs = set(zip(first, second, strict=True))
    return 1 - len(pairs) / (len(set(first)) * len(set(second)))


KINDS: dict[str, Callable[[Values, str, Places, np.random.Generator], list[str]]] = {
    "never seen": _unseen,
    "swapped": _swapped,
    "rare pair": _rare_pair,
}


def figures(fitted: Fitted, clean: pa.Table, kind: str, seed: int) -> list[float]:
    """AUROC by novelty and by error, and the share of causes that name the changed column first."""
    changed, names = plant(clean, kind, seed)
    before, after = fitted.scores(clean), fitted.scores(changed)
    labels = np.repeat([0, 1], len(clean))
    found = [roc_auc_score(labels, np.append(before[by], after[by])) for by in before]
    rows = fitted.read(changed)[:EXPLAINED]
    causes = explain(fitted.model, fitted.model.rebuild(rows), by="novelty")
    named = [cause.features[0].name == name for cause, name in zip(causes, names, strict=False)]
    return [*found, float(np.mean(named))]


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
            each.append(figures(fitted, clean, kind, seed))
    for kind, each in found.items():
        print_row(name, kind, *(f"{figure:.3f}" for figure in np.mean(each, axis=0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    seeds = parser.parse_args().seeds
    print(machine())
    print_head("data", "planted", "AUROC error", "AUROC novelty", "column named first", left=2)
    show("adult", adult, seeds)
    show("transactions", generated, seeds)


if __name__ == "__main__":
    main()
