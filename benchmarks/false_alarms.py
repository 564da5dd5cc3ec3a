"""How often `quantile 0.99` flags fresh clean rows: the chance above its cut, over 500 random calibration sets of each size.

python benchmarks/false_alarms.py       a few seconds
"""

from __future__ import annotations

import numpy as np
from datasets import machine
from scipy.stats import gamma

from aemodel.decisions.ranking import Ranking, Tally
from aemodel.decisions.rules import decide, parse_rule

RULE = parse_rule("quantile 0.99")
SETS = 500
SHAPE = 3.0  # scores are gamma distributed


def main() -> None:
    print(
        f"Machine: {machine()}\n\n| calibration rows | share of fresh clean rows flagged | standard error | promised |\n|--:|--:|--:|--:|"
    )
    for n in (100, 1_000, 10_000):
        random = np.random.default_rng(n)
        shares = []
        for _ in range(SETS):
            calibration, nothing = np.sort(random.gamma(SHAPE, size=n)), np.empty(0)
            ranking = Ranking.of(1, nothing, np.empty(0, np.int64))
            cut = decide(RULE, calibration, Tally.of(calibration, nothing), ranking, top_n=1).cut
            shares.append(
                gamma.sf(cut.score, SHAPE)
            )  # the chance itself: fresh rows would only add noise
        print(f"| {n:,} | {np.mean(shares):.5f} | {np.std(shares) / np.sqrt(SETS):.5f} | ≤ 0.01 |")


if __name__ == "__main__":
    main()
