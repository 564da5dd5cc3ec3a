"""Reading a job file:

TOML into settings, with an error that names the nearest key. The one place that reads TOML.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from aemodel.errors import SettingsError
from flows.errors import UsageError
from flows.jobs.settings import Job

T = TypeVar("T")
_WORDS = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}


def read_job(path: Path, overrides: Iterable[str] = ()) -> Job:
    """Read the job file at `path`, with `overrides` such as "model.latent=8" put over it.

    Raises UsageError naming the file and key: not found, not TOML, unknown key (with the nearest
    known one), wrong type or value.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"{path}: not found; expected a job file. `nightglass init SOURCE > {path}` writes a first one"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: could not be read as a job file ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    for text in overrides:
        _override(table, text)
    try:
        return dataclasses.replace(_build(Job, table, ""), folder=path.resolve().parent)
    except (UsageError, SettingsError) as error:
        raise UsageError(f"{path}: {error}") from error


def _override(table: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise UsageError(f"--set must look like model.latent=8. Got '{text}' instead.")
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise UsageError(f"--set {text}: '{part}' is a value, not a section")
    table[parts[-1]] = _value(value.strip())


def _value(text: str) -> object:
    """A TOML value where it reads as one, else the text itself, so that quotes can be left out."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _build(kind: type[T], table: Mapping[str, Any], section: str) -> T:
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.name != "folder"}  # type: ignore[arg-type] # every settings class is a dataclass
    values = {}
    for key, value in table.items():
        where = f"{section}.{key}" if section else key
        if key not in fields:
            raise UsageError(_unknown(where, key, list(fields)))
        values[key] = _checked(hints[key], value, where)
    required = [
        name
        for name, field in fields.items()
        if field.default is field.default_factory is dataclasses.MISSING
    ]
    missing = [f"{section}.{name}" if section else name for name in required if name not in values]
    if missing:
        raise UsageError(f"'{missing[0]}' is missing; every job file needs it")
    return kind(**values)


def _unknown(where: str, key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    prefix = where.removesuffix(key)
    return f"'{where}' is not a known key" + (
        f"; did you mean '{prefix}{near[0]}'?" if near else f"; known are: {', '.join(known)}"
    )


def _checked(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise UsageError(f"'{where}' must be a section [{where}]. Got {value!r} instead.")
        return _build(hint, value, where)  # type: ignore[arg-type] # is_dataclass also admits instances, hints never are
    if hint in _WORDS:
        return _scalar(hint, value, where)
    if isinstance(value, list):
        item = hint.__args__[0]
        return tuple(_scalar(item, each, f"{where}[{index}]") for index, each in enumerate(value))
    raise UsageError(f"'{where}' must be a list in [brackets]. Got {value!r} instead.")


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise UsageError(f"'{where}' must be {_WORDS[hint]}. Got {value!r} instead.")
    return value
