"""Latent stores: compressed latents in shards, with all it takes to bring the data back."""

from __future__ import annotations

from storage.latents.blocks import Bound
from storage.latents.bounded import Blocks, BoundedPlan
from storage.latents.decoded import write_decoded
from storage.latents.plan import ShardFacts, StorePlan
from storage.latents.quantise import Scale
from storage.latents.shard import ShardRows
from storage.latents.store import Store, open_store

__all__ = ["Blocks", "Bound", "BoundedPlan", "Scale", "ShardFacts", "ShardRows", "Store", "StorePlan", "open_store", "write_decoded"]
