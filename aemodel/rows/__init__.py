"""Rows before they reach a network: their layout, the split of clean rows, scaling, sampling, rows
kept for training.
"""
