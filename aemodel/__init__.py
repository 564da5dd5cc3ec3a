"""Autoencoders on NumPy arrays: training, scores, p-values and decisions. Touches no file."""
