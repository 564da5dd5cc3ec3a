"""Why a row stands out: the features that explain its score, and p-values of three sides (range,
latent, residual).
"""
