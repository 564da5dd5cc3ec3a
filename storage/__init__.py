"""Everything nightglass reads from and writes to disk.

Sources, models, latent stores, scores and reports.
"""
