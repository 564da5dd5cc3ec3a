"""How often `quantile 0.99` flags fresh clean rows.

The probability of a score above the threshold, over 500 random calibration sets of each size.

    python benchmarks/false_alarms.py       a few seconds
"""

from __future__ import annotations

import numpy as np
from datasets import machine
from markdown_table import print_head, print_row
from scipy.stats import gamma

from aemodel.decisions.ranking import Ranking, Tally
from aemodel.decisions.rules import decide, parse_rule

RULE = parse_rule("quantile 0.99")
SETS = 500
SHAPE = 3.0  # scores are gamma distributed


def flagged_share(random: np.random.Generator, n: int) -> float:
    """Probability that the rule flags a clean row, with one set of n calibration rows.

    The exact probability: a sample of fresh rows would only add noise.
    """
    nothing = np.empty(0)
    calibration = np.sort(random.gamma(SHAPE, size=n))
    ranking = Ranking.of(1, nothing, np.empty(0, np.int64))
    cut = decide(RULE, calibration, Tally.of(calibration, nothing), ranking, top_n=1).cut
    return float(gamma.sf(cut.score, SHAPE))


def main() -> None:
    print(f"Machine: {machine()}\n")
    print_head(
        "calibration rows",
        "share of fresh clean rows flagged",
        "standard error",
        "guaranteed",
        left=0,
    )
    for n in (100, 1_000, 10_000):
        random = np.random.default_rng(n)
        shares = [flagged_share(random, n) for _ in range(SETS)]
        error = np.std(shares) / np.sqrt(SETS)
        print_row(f"{n:,}", f"{np.mean(shares):.5f}", f"{error:.5f}", "≤ 0.01")


if __name__ == "__main__":
    main()
