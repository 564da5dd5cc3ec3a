"""What the training report shows of the clean rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest


def page_of(bench, rows: np.ndarray) -> str:
    np.save(bench.folder / "clean.npy", rows.astype(np.float32))
    trained = bench.run("train", bench.job, "--set", "name=shown")
    return (Path(trained.facts["path"]) / "training.html").read_text()


@pytest.mark.parametrize(
    ("shape", "drawn"), [((6, 6), "<img src="), ((32,), '<svg class="spark"'), ((8,), "")]
)
def test_images_and_signals_are_shown_beside_their_reconstructions(bench, random, shape, drawn):
    page = page_of(bench, random.random((600, *shape)))
    _, _, shown = page.partition("Clean rows and their reconstructions")
    examples = shown.partition("</ul>")[0]

    assert examples.count("<li>") == (6 if drawn else 0)
    assert drawn in examples


def test_the_digest_of_the_clean_rows_is_shown(bench):
    model = next(bench.folder.glob("workspace/models/*/*/model.json")).parent
    digest = json.loads((model / "model.json").read_text())["training_data"]["digest"]

    assert digest in (model / "training.html").read_text()
