"""Entities: machines, meters, accounts, whose rows are scaled by their own level and spread.

`scales` holds what a model keeps of them, `fit` estimates it from clean rows, with `variances`,
and `candidates` finds categories that may name entities.
"""
