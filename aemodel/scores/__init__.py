"""Scores that rank rows: novelty, relative error, and p-values from calibration rows."""
