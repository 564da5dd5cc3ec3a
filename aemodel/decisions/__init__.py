"""Decisions about a night: rules, ranking, drift, contamination, verdict.

They take NumPy arrays of scores and return plain values.
"""
