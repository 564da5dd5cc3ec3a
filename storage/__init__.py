"""Everything that nightglass reads from and writes to disk.

Input sources, models, latent stores, scores and reports.
"""
