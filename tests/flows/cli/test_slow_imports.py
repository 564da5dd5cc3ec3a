"""The start of a command: what it imports, and how."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from flows.cli.slow_imports import slow_imports

NIGHT = """
import sys
import numpy as np
import flows.orchestration.local
from aemodel.decisions.drift import find_drift
from aemodel.decisions.ranking import Tally

scores = np.sort(np.random.default_rng(0).random(2_000))
assert find_drift(scores, Tally.of(scores, scores)) is not None
print({"scipy.stats", "h5py", "pcodec"} & set(sys.modules))
"""


def test_garbage_collection_pauses_during_imports_and_goes_on_after_one_that_fails():
    with slow_imports():
        assert not gc.isenabled()
    with pytest.raises(ImportError, match="absent"), slow_imports():
        import absent  # noqa: F401 # there is no such module

    assert gc.isenabled()


def test_what_was_imported_is_not_examined_again():
    gc.unfreeze()
    with slow_imports():
        kept = [{}]

    assert not any(each is kept[0] for each in gc.get_objects())
    gc.unfreeze()


def test_a_night_needs_neither_scipys_distributions_nor_the_codecs_of_stores():
    done = subprocess.run([sys.executable, "-c", NIGHT], check=True, capture_output=True, text=True)

    assert done.stdout == "set()\n"
