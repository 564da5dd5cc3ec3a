"""Shards of a night: their scores, the notes of finished ones, and summaries that merge."""
