"""Errors of the aemodel package.

ModelError
├── SettingsError    a setting is invalid or does not fit the data; names the key to change
├── DataError        rows that a model cannot be fitted on or applied to
└── BundleError      model files that are damaged, incomplete, or of an unsupported version
"""

from __future__ import annotations


class ModelError(Exception):
    """Base class of the errors that the aemodel package raises."""


class SettingsError(ModelError):
    """A setting is invalid, or does not fit the data."""


class DataError(ModelError):
    """Rows do not fit the model, or are too few to fit one."""


class BundleError(ModelError):
    """The files of a bundle are damaged, incomplete, or of an unsupported version."""
