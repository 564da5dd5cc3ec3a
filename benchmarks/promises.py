"""Guarantees of a night's alarms, tested over 200 nights each.

    python benchmarks/promises.py           all of them, about a minute
    python benchmarks/promises.py drift     one of: discoveries, drift, suspects

Scores are random, so that the truth is known: clean rows are standard normal, the outliers among
them are SHIFT higher.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from datasets import machine
from markdown_table import print_head, print_row
from numpy.typing import NDArray

from aemodel.decisions.contamination import count_suspects
from aemodel.decisions.drift import find_drift
from aemodel.decisions.ranking import Ranking, Tally
from aemodel.decisions.rules import decide, parse_rule

NIGHTS = 200
ROWS = 20_000  # in a night, and in a calibration set
OUTLIERS = 200
SHIFT = 5.0
RULE = parse_rule("fdr 0.1")
SETS = 20  # calibration sets, each used for all nights
# suspect rows: how many, and at how many times the highest clean score
SUSPECTS = ((0, 1.0), (1, 3.0), (1, 30.0), (10, 3.0), (100, 3.0))

Scores = NDArray[np.float64]
SHAPES: dict[str, Callable[[np.random.Generator, int], Scores]] = {
    "chi-square, 10 degrees of freedom": lambda random, n: random.chisquare(10, n),
    "exponential": lambda random, n: random.exponential(size=n),
    "log-normal": lambda random, n: random.lognormal(size=n),
    "F, 10 and 6 degrees of freedom (power-law tail)": lambda random, n: random.f(10, 6, n),
}


@dataclass(frozen=True)
class Flagged:
    """Share of clean rows among flagged rows, and share of outliers that are flagged."""

    false: float
    found: float


def draw_night(random: np.random.Generator, *, outliers: int, scale: float = 1.0) -> Scores:
    """Scores (ROWS,) of a night, its outliers first."""
    scores = scale * random.normal(size=ROWS)
    scores[:outliers] += SHIFT
    return scores


def draw_calibration(random: np.random.Generator) -> Scores:
    """Clean scores (ROWS,), ascending."""
    return np.sort(random.normal(size=ROWS))


def flag(calibration: Scores, tally: Tally, night: Scores, outliers: int) -> Flagged:
    """Apply the rule to a night whose first `outliers` rows are outliers."""
    nothing = Ranking.of(1, night[:0], np.empty(0, np.int64))
    cut = decide(RULE, calibration, tally, nothing, top_n=1).cut
    flagged = cut.flags(night, np.arange(ROWS))
    false = flagged[outliers:].sum() / max(1, flagged.sum())
    found = flagged[:outliers].mean() if outliers else 0.0
    return Flagged(float(false), float(found))


def run_nights(
    random: np.random.Generator, *, outliers: int, calibration: Scores | None = None
) -> tuple[Scores, Scores]:
    """Shares (NIGHTS,) of false discoveries and of outliers found.

    Without `calibration`, each night has its own calibration set.
    """
    shares = []
    for _ in range(NIGHTS):
        clean = draw_calibration(random) if calibration is None else calibration
        night = draw_night(random, outliers=outliers)
        shares.append(flag(clean, Tally.of(clean, night), night, outliers))
    false = np.array([share.false for share in shares])
    found = np.array([share.found for share in shares])
    return false, found


def discoveries() -> None:
    print(f"\n## {RULE}, {NIGHTS} nights of {ROWS:,} rows, {ROWS:,} calibration rows,", end=" ")
    print(f"{OUTLIERS} outliers at +{SHIFT:g}\n")
    print_head("what", "measured", "guaranteed")
    random = np.random.default_rng(1)
    false, found = run_nights(random, outliers=OUTLIERS)
    error = false.std(ddof=1) / np.sqrt(NIGHTS)
    name = "false discoveries among flagged rows, new calibration set every night"
    print_row(name, f"{false.mean():.4f} ± {error:.4f}", "≤ 0.1")
    print_row("outliers flagged", f"{found.mean():.4f}", "")
    clean, _ = run_nights(random, outliers=0)
    print_row("clean nights with any alarm", f"{(clean > 0).mean():.1%}", "≤ 10 %")
    fixed_calibration(random)


def fixed_calibration(random: np.random.Generator) -> None:
    """Print the rows for calibration sets that are used for all nights."""
    sets = []
    for _ in range(SETS):
        calibration = draw_calibration(random)
        sets.append(run_nights(random, outliers=OUTLIERS, calibration=calibration)[0])
    means = np.array([each.mean() for each in sets])
    low, high = np.quantile(sets[0], [0.05, 0.95])
    print_row("one calibration set for all nights: mean", f"{means[0]:.4f}", "")
    print_row("… 5th to 95th percentile of nights", f"{low:.4f} to {high:.4f}", "")
    spread = f"{means.min():.4f}, {means.mean():.4f}, {means.max():.4f}"
    print_row(f"… mean of {SETS} such sets: lowest, mean, highest", spread, "≤ 0.1 on average")


def drift() -> None:
    print(f"\n## Drift: {NIGHTS} nights of {ROWS:,} rows, {OUTLIERS} outliers,", end=" ")
    print("all scores scaled; new calibration set every night\n")
    print_head(
        "scale factor",
        "guarantee given",
        "false discoveries, all nights",
        "false discoveries, nights with a guarantee",
        "target",
        left=0,
    )
    targets = {1.0: "≥ 99.9 %", 1.1: "≤ 5 %", 1.2: "≤ 5 %"}
    random = np.random.default_rng(2)
    for scale in (1.0, 1.02, 1.05, 1.1, 1.2):
        guaranteed, false = drifted_nights(random, scale)
        kept = f"{false[guaranteed].mean():.3f}" if guaranteed.any() else "–"
        target = targets.get(scale, "reported")
        print_row(scale, f"{guaranteed.mean():.1%}", f"{false.mean():.3f}", kept, target)


def drifted_nights(random: np.random.Generator, scale: float) -> tuple[NDArray[np.bool_], Scores]:
    """Which nights (NIGHTS,) still get a guarantee, and their shares of false discoveries."""
    guaranteed, false = np.empty(NIGHTS, bool), np.empty(NIGHTS)
    for number in range(NIGHTS):
        calibration = draw_calibration(random)
        night = draw_night(random, outliers=OUTLIERS, scale=scale)
        tally = Tally.of(calibration, night)
        found = find_drift(calibration, tally)
        guaranteed[number] = found is None or not found.alarm
        false[number] = flag(calibration, tally, night, OUTLIERS).false
    return guaranteed, false


def suspects() -> None:
    print(f"\n## Suspect rows among {ROWS:,} calibration rows, count × distance as a", end=" ")
    print(f"multiple of the highest clean score, {NIGHTS} sets each\n")
    print("Share of sets with a warning, and the median count that the warning gives\n")
    cases = [f"{count} × {distance:g}" if count else "none" for count, distance in SUSPECTS]
    print_head("clean scores", *cases)
    random = np.random.default_rng(3)
    for name, draw in SHAPES.items():
        cells = []
        for count, distance in SUSPECTS:
            sets = (
                with_suspects(random, draw(random, ROWS), count, distance) for _ in range(NIGHTS)
            )
            cells.append(warnings_in(sets))
        print_row(name, *cells)


def with_suspects(
    random: np.random.Generator, clean: Scores, count: int, distance: float
) -> Scores:
    """Clean scores (n,), ascending, with `count` of them replaced.

    The new ones are `distance` to twice `distance` times the highest.
    """
    clean[:count] = clean.max() * distance * random.uniform(1, 2, count)
    return np.sort(clean)


def warnings_in(sets: Iterable[Scores]) -> str:
    """Share of calibration sets with a warning, and the median count that it gives."""
    counts = np.array([count_suspects(scores) for scores in sets])
    warned = counts > 0
    share = f"{warned.mean():.1%}"
    return f"{share}, {np.median(counts[warned]):.0f}" if warned.any() else share


TABLES = {"discoveries": discoveries, "drift": drift, "suspects": suspects}


def main() -> None:
    chosen = sys.argv[1:] or list(TABLES)
    if not set(chosen) <= set(TABLES):
        print(__doc__)
        return
    print(f"Machine: {machine()}")
    for name in chosen:
        began = time.perf_counter()
        TABLES[name]()
        print(f"\n{time.perf_counter() - began:.0f} seconds")


if __name__ == "__main__":
    main()
