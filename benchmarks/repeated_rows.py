"""Clean nights of tables whose rows repeat: share flagged at a guaranteed 1 %, nights called DRIFT.

    python benchmarks/repeated_rows.py [--draws 10]

Every draw trains the model that `nightglass init` proposes on 8,000 fresh clean rows and judges
nights of 8,000 fresh clean rows of the same kind.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from datasets import machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray
from proposed import train_as_proposed

from aemodel.decisions.drift import find_drift
from aemodel.decisions.ranking import Tally
from aemodel.decisions.rules import decide_beforehand, parse_rule
from aemodel.model import Autoencoder

ROWS = 8_000
NIGHTS = 5  # a draw
SCORES = ("error", "novelty", "relative")
Random = np.random.Generator
Rows = NDArray[np.generic]


def half_idle(random: Random) -> Rows:
    """Four sensors of a machine that is off half of the time."""
    weights = np.random.default_rng(1).normal(size=(2, 4))
    rows = random.normal(size=(ROWS, 2)) @ weights + 0.05 * random.normal(size=(ROWS, 4))
    rows[random.random(ROWS) < 0.5] = 0.0
    return rows


def four_counts(random: Random) -> Rows:
    """Four Poisson counts with mean 2."""
    return random.poisson(2, (ROWS, 4)).astype(np.float64)


def eight_flags(random: Random) -> Rows:
    """Eight flags, each set in 20 % of the rows."""
    return (random.random((ROWS, 8)) < 0.2).astype(np.float64)


def ratings(random: Random) -> Rows:
    """Four ratings from 1 to 5."""
    return random.integers(1, 6, (ROWS, 4)).astype(np.float64)


TABLES: tuple[Callable[[Random], Rows], ...] = (half_idle, four_counts, eight_flags, ratings)


def judge_nights(model: Autoencoder, nights: list[Rows]) -> Iterator[tuple[str, float, int]]:
    """For each score: its name, the mean share flagged, and how many nights drifted."""
    rule = parse_rule("quantile 0.99")
    scored = [model.scores(night) for night in nights]
    for place, name in enumerate(SCORES):
        calibration = model.calibration_by(name)
        cut = decide_beforehand(rule, calibration).cut.score
        shares = [float((scores[place] > cut).mean()) for scores in scored]
        drifts = [find_drift(calibration, Tally.of(calibration, each[place])) for each in scored]
        yield name, float(np.mean(shares)), sum(bool(each and each.alarm) for each in drifts)


def main() -> None:
    """Print a table of all kinds of rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10)
    draws = parser.parse_args().draws
    print(f"Machine: {machine()}\n")
    print_head("table", "score", "flagged, mean ± standard error", "nights called DRIFT", left=2)
    for table in TABLES:
        found: dict[str, list[tuple[float, int]]] = {name: [] for name in SCORES}
        for draw in range(draws):
            random = np.random.default_rng(draw)
            model = train_as_proposed(table(random), draw).model
            for name, share, drifts in judge_nights(model, [table(random) for _ in range(NIGHTS)]):
                found[name].append((share, drifts))
        for name, results in found.items():
            shares, drifts = np.array(results).T
            spread = shares.std(ddof=1) / np.sqrt(len(shares)) if len(shares) > 1 else 0.0
            flagged = f"{shares.mean():.2%} ± {spread:.2%}"
            print_row(table.__name__, name, flagged, f"{drifts.sum():.0f} of {NIGHTS * draws}")


if __name__ == "__main__":
    main()
