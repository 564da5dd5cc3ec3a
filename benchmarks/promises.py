"""What is promised of a night's alarms, held against 200 nights at a time: false discoveries, clean nights, drift, strangers.

    python benchmarks/promises.py           all of them, about a minute
    python benchmarks/promises.py drift     one of: discoveries, drift, strangers

Scores are drawn, so that the truth is known: of clean rows standard normal, of the outliers planted among them SHIFT higher.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from datasets import machine
from numpy.typing import NDArray

from aemodel.decisions.contamination import count_suspects
from aemodel.decisions.drift import find_drift
from aemodel.decisions.ranking import Ranking, Tally
from aemodel.decisions.rules import decide, parse_rule

NIGHTS = 200
ROWS = 20_000  # of a night, and of a calibration set
OUTLIERS = 200
SHIFT = 5.0
RULE = parse_rule("fdr 0.1")
SETS = 20  # calibration sets, each of which serves all the nights
STRANGERS = (
    (0, 1.0),
    (1, 3.0),
    (1, 30.0),
    (10, 3.0),
    (100, 3.0),
)  # how many, and how many times the highest clean score

Scores = NDArray[np.float64]
SHAPES: dict[str, Callable[[np.random.Generator, int], Scores]] = {
    "chi-square, 10 degrees": lambda random, n: random.chisquare(10, n),
    "exponential": lambda random, n: random.exponential(size=n),
    "log-normal": lambda random, n: random.lognormal(size=n),
    "F, 10 and 6 degrees (power-law tail)": lambda random, n: random.f(10, 6, n),
}


def draw_night(random: np.random.Generator, *, outliers: int, wider: float = 1.0) -> Scores:
    """Scores (ROWS,) of a night, its outliers first."""
    scores = wider * random.normal(size=ROWS)
    scores[:outliers] += SHIFT
    return scores


def false_and_found(
    calibration: Scores, tally: Tally, night: Scores, outliers: int
) -> tuple[float, float]:
    """Share of clean rows among those that the rule flags, and share of the outliers among which it does."""
    nothing = Ranking.of(1, night[:0], np.empty(0, np.int64))
    flagged = decide(RULE, calibration, tally, nothing, top_n=1).cut.flags(night, np.arange(ROWS))
    return float(flagged[outliers:].sum() / max(1, flagged.sum())), float(
        flagged[:outliers].mean()
    ) if outliers else 0.0


def run_nights(
    random: np.random.Generator, *, outliers: int, calibration: Scores | None = None
) -> tuple[Scores, Scores]:
    """False and found shares (NIGHTS,) of as many nights, with a calibration set of their own or a given one."""
    shares = []
    for _ in range(NIGHTS):
        clean = np.sort(random.normal(size=ROWS)) if calibration is None else calibration
        night = draw_night(random, outliers=outliers)
        shares.append(false_and_found(clean, Tally.of(clean, night), night, outliers))
    false, found = np.array(shares).T
    return false, found


def discoveries() -> None:
    random = np.random.default_rng(1)
    false, found = run_nights(random, outliers=OUTLIERS)
    error = false.std(ddof=1) / np.sqrt(NIGHTS)
    print(
        f"\n## {RULE}, {NIGHTS} nights of {ROWS:,} rows, {ROWS:,} calibration rows, {OUTLIERS} outliers at +{SHIFT:g}\n"
    )
    print("| what | measured | promised |\n|:--|--:|--:|")
    print(
        f"| false among the flagged, a fresh calibration set each night | {false.mean():.4f} ± {error:.4f} | ≤ 0.1 |"
    )
    print(f"| outliers flagged | {found.mean():.4f} | |")
    clean, _ = run_nights(random, outliers=0)
    print(f"| clean nights with any alarm | {(clean > 0).mean():.1%} | ≤ 10 % |")
    sets = [
        run_nights(random, outliers=OUTLIERS, calibration=np.sort(random.normal(size=ROWS)))[0]
        for _ in range(SETS)
    ]
    means = np.array([each.mean() for each in sets])
    low, high = np.quantile(sets[0], [0.05, 0.95])
    print(f"| one calibration set for all nights: mean | {means[0]:.4f} | |")
    print(f"| … 5 to 95 % of its nights | {low:.4f} to {high:.4f} | |")
    print(
        f"| … mean of {SETS} such sets: lowest, mean, highest | {means.min():.4f}, {means.mean():.4f}, {means.max():.4f} | ≤ 0.1 on average |"
    )


def drift() -> None:
    print(
        f"\n## Drift: {NIGHTS} nights of {ROWS:,} rows, {OUTLIERS} outliers, all scores wider; a fresh calibration set each night\n"
    )
    print(
        "| wider | promise still made | false among the flagged, if nobody looks | … on nights with a promise | target |\n|--:|--:|--:|--:|:--|"
    )
    random = np.random.default_rng(2)
    for wider in (1.0, 1.02, 1.05, 1.1, 1.2):
        promised, false = np.empty(NIGHTS, bool), np.empty(NIGHTS)
        for number in range(NIGHTS):
            calibration, night = (
                np.sort(random.normal(size=ROWS)),
                draw_night(random, outliers=OUTLIERS, wider=wider),
            )
            tally = Tally.of(calibration, night)
            found = find_drift(calibration, tally)
            promised[number] = found is None or not found.alarm
            false[number] = false_and_found(calibration, tally, night, OUTLIERS)[0]
        kept = f"{false[promised].mean():.3f}" if promised.any() else "–"
        target = "≤ 5 %" if wider >= 1.1 else "≥ 99.9 %" if wider == 1.0 else "reported"
        print(
            f"| {wider} | {promised.mean():.1%} | {false.mean():.3f} | {kept} | {target} |",
            flush=True,
        )


def strangers() -> None:
    cases = [f"{count} × {apart:g}" if count else "none" for count, apart in STRANGERS]
    print(
        f"\n## Strangers among {ROWS:,} calibration rows, so many at so many times the highest clean score, {NIGHTS} sets each\n"
    )
    print(
        f"Share of sets in which there is a warning, and the median number it names\n\n| clean scores | {' | '.join(cases)} |"
    )
    print(f"|:--|{'--:|' * len(cases)}")
    random = np.random.default_rng(3)
    for name, draw in SHAPES.items():
        cells = []
        for count, apart in STRANGERS:
            said = np.array(
                [
                    count_suspects(with_strangers(random, draw(random, ROWS), count, apart))
                    for _ in range(NIGHTS)
                ]
            )
            warned = said > 0
            cells.append(
                f"{warned.mean():.1%}"
                + (f", {np.median(said[warned]):.0f}" if warned.any() else "")
            )
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def with_strangers(random: np.random.Generator, clean: Scores, count: int, apart: float) -> Scores:
    """Clean scores (n,), `count` of them replaced by ones `apart` to twice `apart` times the highest; ascending."""
    clean[:count] = clean.max() * apart * random.uniform(1, 2, count)
    return np.sort(clean)


TABLES = {"discoveries": discoveries, "drift": drift, "strangers": strangers}


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
