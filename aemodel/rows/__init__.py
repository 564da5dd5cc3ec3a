"""Rows before they reach a network.

Their layout, the split of clean rows, scaling, sampling, and the rows kept for training.
"""
