"""Nights of series: points scored shard by shard, and events over all of them."""
