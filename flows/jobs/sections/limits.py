"""Limits of the settings in a job file."""

from __future__ import annotations

import re
from typing import NewType

from flows.errors import UsageError
from storage.units import format_bytes

ByteSize = NewType("ByteSize", int)  # written as '256 MB' in a job file

SMALLEST_BUDGET = 1_000_000


def require_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise UsageError unless the value of a key is one of `choices`."""
    if value not in choices:
        raise UsageError(f"{key} must be one of {', '.join(choices)}. Got '{value}' instead.")


def require_range(key: str, value: float, low: float, high: float) -> None:
    """Raise UsageError unless the value of a key is from `low` to `high`."""
    if not low <= value <= high:
        raise UsageError(f"{key} must be from {low} to {high}. Got {value} instead.")


def require_size(key: str, value: int) -> None:
    """Raise UsageError unless a number of bytes is at least SMALLEST_BUDGET."""
    if value < SMALLEST_BUDGET:
        raise UsageError(f"{key} must be at least 1 MB. Got {format_bytes(value)} instead.")


def require_variable(key: str, name: str, *, holds: str) -> None:
    """Raise UsageError unless the value of a key is the name of an environment variable."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise UsageError(  # without the value, which may be a secret
            f"{key} must be the name of an environment variable that holds {holds}, "
            f"such as NIGHTGLASS_{re.sub(r'.*[.-]', '', key).upper()}"
        )


def require_image_size(key: str, value: tuple[int, ...]) -> None:
    """Raise UsageError unless the value of a key is empty, or a height and width in pixels."""
    if value and (len(value) != 2 or min(value) < 1):
        raise UsageError(f"{key} must be [height, width] in pixels. Got {list(value)} instead.")


def require_endpoint(value: str) -> None:
    """Raise UsageError unless `endpoint` is empty or the URL of a server, without credentials."""
    if value and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+/?", value):
        raise UsageError(  # without the value, which may hold a secret
            "endpoint must be the URL of a server that is compatible with S3, such as "
            "https://minio.example.org:9000; credentials come from the environment"
        )
