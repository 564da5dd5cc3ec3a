"""Errors of the aemodel package.

ModelError
├── SettingsError    a setting is wrong, or does not fit the data; says which key to change
├── DataError        rows that the model cannot be fitted on or applied to
└── BundleError      files that do not make up a model: damaged, incomplete, or written by a newer
version
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of all errors that the aemodel package raises on purpose."""


class SettingsError(ModelError):
    """A setting is wrong in itself or for these data."""


class DataError(ModelError):
    """Rows do not fit the model, or are too few to fit one."""


class BundleError(ModelError):
    """The files of a bundle do not make up a model."""
