"""Promises on generated tables: clean rows flagged at `quantile 0.99`, clean nights called DRIFT.

    python benchmarks/promises_tables.py tables     34 kinds of tables; 20 minutes
    python benchmarks/promises_tables.py days       days that differ from each other; 20 minutes
    … --draws 2 --only "half idle" "two states"     less of it
    … tables --rows 1500                            few rows: novelty knows validation rows too

Every draw trains a small network on fresh clean rows and judges nights of fresh clean rows. The
values of draw k are multiplied by 2^k: the scaled rows are the same, but not their hashes, so that
draws of one table split its rows independently of each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from clean_tables import DAYS, TABLES, Random, Rows, Table
from datasets import machine
from markdown_table import print_head, print_row

from aemodel.decisions.block_promises import rest_on_blocks
from aemodel.decisions.drift import find_drift
from aemodel.decisions.ranking import Tally
from aemodel.decisions.rules import decide_beforehand, parse_rule
from aemodel.model import Autoencoder
from aemodel.rows.blocks import CleanBlocks
from aemodel.rows.layout import Layout
from aemodel.settings import SCORES, ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder
from flows.jobs.proposal.held_out_blocks import calibration_share

NIGHT = 2_000
NIGHTS = 20  # a draw
DAY = 500  # clean rows of a day
RULE = parse_rule("quantile 0.99")
MODEL = ModelSettings(
    hidden=(16,), latent=3, activation="silu", output="identity", loss="mse", scaling="minmax"
)
TRAIN = {"epochs": 3, "batch_size": 64, "learning_rate": 3e-3}
# clean days, and how they are split
SPLITS = ((5, "occurrence"), (10, "blocks"), (20, "occurrence"), (20, "blocks"), (40, "blocks"))


@dataclass(frozen=True)
class Judged:
    """One score of one draw.

    flagged: mean share of the nights' rows. promised: whether the rule promises 1 %.
    drifted, moved_drifted: share of clean nights, and of changed nights, that are called DRIFT.
    """

    flagged: float
    promised: bool
    drifted: float
    moved_drifted: float


def train(rows: Rows, *, split: str = "occurrence", days: int = 0) -> Autoencoder:
    """Train on clean rows (n, d), in `days` days of equal length if there are any."""
    names = tuple(f"day {number}" for number in range(days))
    blocks = CleanBlocks("days", names, lambda start, stop: np.arange(start, stop) // DAY)
    clean = CleanRows(
        lambda: [rows],
        Layout(row_shape=rows.shape[1:], dtype="float64"),
        10**9,
        blocks=blocks if days else None,
    )
    share = float(calibration_share("0.2", days if split == "blocks" else 0))
    settings = TrainSettings(**TRAIN, calibration=share, split=split)
    return train_autoencoder(clean, model=MODEL, train=settings).model


def judge(model: Autoencoder, nights: list[Rows], moved: list[Rows]) -> Iterator[Judged]:
    """Judge clean and changed nights by each of SCORES."""
    clean = [model.scores(night) for night in nights]
    changed = [model.scores(night) for night in moved]
    for place, name in enumerate(SCORES):
        calibration, blocks = model.calibration_by(name), model.blocks_by(name)
        bare = decide_beforehand(RULE, calibration)
        decision = rest_on_blocks(bare, RULE, calibration, blocks, rows=NIGHT)
        shares = [float((scores[place] > decision.cut.score).mean()) for scores in clean]
        drifts = [
            [find_drift(calibration, Tally.of(calibration, each[place]), blocks) for each in kind]
            for kind in (clean, changed)
        ]
        alarms = [[bool(each and each.alarm) for each in kind] for kind in drifts]
        yield Judged(
            float(np.mean(shares)),
            decision.promises,
            float(np.mean(alarms[0])),
            float(np.mean(alarms[1])) if alarms[1] else np.nan,
        )


def judge_draw(table: Table, draw: int, rows: int, days: int, split: str) -> list[Judged]:
    """Train on `rows` rows and judge one draw; every day of a table is drawn by itself."""
    random, unit = np.random.default_rng(draw), 2.0**draw
    pieces = [table(random, DAY) for _ in range(days)] or [table(random, rows)]
    model = train(unit * np.concatenate(pieces), split=split, days=days)
    nights = [unit * table(random, NIGHT) for _ in range(NIGHTS)]
    moved = [unit * change(random, table(random, NIGHT)) for _ in range(NIGHTS if days else 0)]
    return list(judge(model, nights, moved))


def change(random: Random, rows: Rows) -> Rows:
    """Rows with more noise in every column: half a standard deviation."""
    return rows + 0.5 * np.nanstd(rows, axis=0) * random.normal(size=rows.shape)


def draws_by_score(
    table: Table, draws: int, *, rows: int = 0, days: int = 0, split: str = "occurrence"
) -> dict[str, list[Judged]]:
    """All draws of a table, by each of SCORES."""
    found: dict[str, list[Judged]] = {name: [] for name in SCORES}
    for draw in range(draws):
        by_score = judge_draw(table, draw, rows, days, split)
        for name, judged in zip(SCORES, by_score, strict=True):
            found[name].append(judged)
    return found


def share_flagged(judged: list[Judged]) -> str:
    """Mean share over draws, its standard error, and a mark where it is above 1 %."""
    shares = np.array([each.flagged for each in judged])
    error = shares.std(ddof=1) / np.sqrt(len(shares)) if len(shares) > 1 else 0.0
    above = " (!)" if shares.mean() > 0.01 + 3 * error else ""
    return f"{shares.mean():.2%} ± {error:.2%}{above}"


def print_tables(names: list[str], draws: int, rows: int) -> None:
    print_head("table", "score", "clean rows flagged", "clean nights called DRIFT", left=2)
    every: list[Judged] = []
    for name in names or TABLES:
        for score, judged in draws_by_score(TABLES[name], draws, rows=rows).items():
            every += judged
            drifted = np.mean([each.drifted for each in judged])
            print_row(name, score, share_flagged(judged), f"{drifted:.1%}")
    drifted = np.mean([each.drifted for each in every])
    print_row("all", "", share_flagged(every), f"{drifted:.2%}")


def print_days(names: list[str], draws: int) -> None:
    heads = ("days", "clean days, split", "score", "clean rows flagged", "draws with a promise")
    print_head(*heads, "clean nights called DRIFT", "changed nights called DRIFT", left=3)
    every: list[Judged] = []
    for name in names or DAYS:
        for days, split in SPLITS:
            found = draws_by_score(DAYS[name], draws, days=days, split=split)
            for score, judged in found.items():
                every += judged
                print_row(name, f"{days}, {split}", score, *days_cells(judged))
    print_row("all", "", "", *days_cells(every))


def days_cells(judged: list[Judged]) -> tuple[str, ...]:
    """Flagged rows, promises, clean and changed nights called DRIFT."""
    kinds = ("promised", "drifted", "moved_drifted")
    means = [np.mean([getattr(each, kind) for each in judged]) for kind in kinds]
    return (share_flagged(judged), *(f"{mean:.1%}" for mean in means))


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["tables", "days"])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--rows", type=int, default=5_000, help="clean rows of a table")
    parser.add_argument("--only", nargs="+", default=[])
    chosen = parser.parse_args()
    print(f"Machine: {machine()}\n")
    if chosen.what == "tables":
        print_tables(chosen.only, chosen.draws, chosen.rows)
    else:
        print_days(chosen.only, chosen.draws)


if __name__ == "__main__":
    main()
