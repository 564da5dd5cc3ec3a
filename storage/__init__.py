"""Everything nightglass reads from and writes to disk: sources, models, latent stores, scores and reports."""
