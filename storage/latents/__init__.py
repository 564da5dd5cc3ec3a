"""Latent stores: compressed latents in shards, and everything needed to decode them."""

from __future__ import annotations

from storage.codecs.blocks import Bound
from storage.codecs.bounded import Blocks, BoundedPlan
from storage.latents.export import write_decoded, write_decoded_table
from storage.latents.plan import EncodedShard, StorePlan
from storage.latents.scale import Scale
from storage.latents.shard import ShardRows
from storage.latents.store import Store, open_store

__all__ = [
    "Blocks",
    "Bound",
    "BoundedPlan",
    "EncodedShard",
    "Scale",
    "ShardRows",
    "Store",
    "StorePlan",
    "open_store",
    "write_decoded",
    "write_decoded_table",
]
