"""Fit a model of series on clean rows, fold by fold."""
