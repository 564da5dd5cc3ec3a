"""Why a row is anomalous.

The features that explain its score, and p-values by range, latents and residuals.
"""
