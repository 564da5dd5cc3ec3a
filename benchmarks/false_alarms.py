"""How often `quantile 0.99` flags fresh clean rows, over 500 random calibration sets of each size.

python benchmarks/false_alarms.py       a few seconds
"""

from __future__ import annotations

import numpy as np
from datasets import machine

from aemodel.ranking import Ranking, Tally
from aemodel.rules import decide, parse_rule

RULE = parse_rule("quantile 0.99")
SETS = 500
FRESH = 20_000


def main() -> None:
    print(
        f"Machine: {machine()}\n\n| calibration rows | share of fresh clean rows flagged | standard error | promised |\n|--:|--:|--:|--:|"
    )
    for n in (100, 1_000, 10_000):
        random = np.random.default_rng(n)
        shares = []
        for _ in range(SETS):
            calibration, fresh = np.sort(random.gamma(3.0, size=n)), random.gamma(3.0, size=FRESH)
            tally, ranking = Tally.of(calibration, fresh), Ranking.of(1, fresh, np.arange(FRESH))
            shares.append(decide(RULE, calibration, tally, ranking, top_n=1).flagged / FRESH)
        print(f"| {n:,} | {np.mean(shares):.5f} | {np.std(shares) / np.sqrt(SETS):.5f} | ≤ 0.01 |")


if __name__ == "__main__":
    main()
