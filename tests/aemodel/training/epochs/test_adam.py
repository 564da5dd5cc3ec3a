"""The optimizer of training."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy

import torch
from torch import nn

from aemodel.training.epochs.adam import Adam

FIT = """
import sys
import numpy as np
from aemodel.rows.layout import Layout
from aemodel.settings import ModelSettings, TrainSettings
from aemodel.training.loop import CleanRows, train_autoencoder

rows = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
train_autoencoder(
    CleanRows.in_memory(rows, Layout(row_shape=(4,), dtype="float32")),
    model=ModelSettings(latent=2, members=2, output="identity", loss="mse", scaling="standard"),
    train=TrainSettings(epochs=1),
)
print("torch._dynamo" in sys.modules)
"""


def take_steps(network, optimizer, count):
    rows = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    for _ in range(count):
        optimizer.zero_grad()
        (network(rows) - rows).square().mean().backward()
        optimizer.step()


def test_its_steps_have_the_bits_of_torchs_optimizer_also_after_it_is_resumed():
    ours = nn.Linear(6, 6)
    theirs = deepcopy(ours)
    take_steps(theirs, torch.optim.Adam(theirs.parameters(), lr=0.01, fused=True), 7)

    first = Adam(dict(ours.named_parameters()), 0.01)
    take_steps(ours, first, 4)
    second = Adam(dict(ours.named_parameters()), 0.01)
    second.resume(first.state())
    take_steps(ours, second, 3)

    for our, their in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(our, their)


def test_fitting_does_not_import_the_compiler_of_torch():
    done = subprocess.run([sys.executable, "-c", FIT], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
