"""The first pass over the clean rows: `prepare` splits, scales, and keeps them, with `checks`."""
