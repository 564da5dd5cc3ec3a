"""Parse a job file: TOML into settings. The only module that reads TOML.

An error names the key, and for an unknown key the nearest known one.
"""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, TypeVar, get_args, get_type_hints
from zoneinfo import ZoneInfo

from aemodel.decisions.rules import Rule, parse_rule
from aemodel.errors import SettingsError
from aemodel.series.settings import Baseline
from flows.errors import UsageError
from flows.jobs.sections.limits import ByteSize
from flows.jobs.series.settings import Pause, WindowRows, parse_pause, parse_window
from flows.jobs.settings import Job
from storage.units import parse_bytes, parse_duration

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
Table = dict[str, object]


def parse_zone(text: str) -> ZoneInfo:
    """A time zone from its IANA name. Raises ValueError."""
    try:
        return ZoneInfo(text)
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(
            f"a time zone must look like 'Europe/Berlin'. Got '{text}' instead."
        ) from error


_WORDS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    bool: "true or false",
}
_PARSERS: dict[object, Callable[[str], object]] = {
    ByteSize: parse_bytes,
    Rule: parse_rule,
    ZoneInfo: parse_zone,
    timedelta: parse_duration,
    Baseline: Baseline.parse,
}
_TEXT_OR_NUMBER: dict[object, Callable[[str], object]] = {
    WindowRows: parse_window,
    Pause: parse_pause,
}


def read_job(path: Path, overrides: Iterable[str] = ()) -> Job:
    """Read the job file at `path` and apply overrides such as "model.latent=8".

    Raises UsageError naming the file and key: not found, not TOML, unknown key (with the nearest
    known one), wrong type or value.
    """
    table = _read_table(path)
    if not table:
        raise UsageError(
            f"{path}: empty; expected a job file. If `nightglass init SOURCE > {path}` failed, fix "
            "what it reported and run it again"
        )
    for text in overrides:
        _override(table, text)
    try:
        return dataclasses.replace(_build(Job, table, ""), folder=path.resolve().parent)
    except (UsageError, SettingsError) as error:
        raise UsageError(f"{path}: {error}") from error


def _read_table(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"{path}: not found; expected a job file. "
            f"Create one with `nightglass init SOURCE > {path}`"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: could not be read as a job file ({error})") from error


def _override(table: Table, text: str) -> None:
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise UsageError(f"--set must look like model.latent=8. Got '{text}' instead.")
    for part in parts[:-1]:
        section = table.setdefault(part, {})
        if not isinstance(section, dict):
            raise UsageError(f"--set {text}: '{part}' is a value, not a section")
        table = section
    table[parts[-1]] = _toml_value(value.strip())


def _toml_value(text: str) -> object:
    """A TOML value if the text parses as one, else the text itself, so that quotes are optional."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _build(kind: type[T], table: Mapping[str, object], section: str) -> T:
    """Settings of the given kind. Raises UsageError for an unknown, missing or wrong key."""
    hints = get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.name != "folder"}
    prefix = f"{section}." if section else ""
    values = {}
    for key, value in table.items():
        if key not in fields:
            raise UsageError(_unknown_key(prefix, key, list(fields)))
        values[key] = _checked(hints[key], value, prefix + key)
    for name, field in fields.items():
        if name not in values and _is_required(field):
            raise UsageError(f"'{prefix}{name}' is missing; every job file needs it")
    return kind(**values)


def _is_required(field: dataclasses.Field[object]) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _unknown_key(prefix: str, key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean '{prefix}{near[0]}'?" if near else f"known keys: {', '.join(known)}"
    return f"'{prefix}{key}' is not a known key; {hint}"


def _checked(hint: object, value: object, where: str) -> object:
    """The value of the key `where`, parsed. Raises UsageError if it is not what `hint` asks for."""
    if hint in _PARSERS:
        return _parsed(_PARSERS[hint], value, where)
    if hint in _TEXT_OR_NUMBER:
        text = str(value) if type(value) in (int, float) else value
        return _parsed(_TEXT_OR_NUMBER[hint], text, where)
    if isinstance(hint, UnionType):  # a section that may be left out
        [hint, _] = get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise UsageError(f"'{where}' must be a section [{where}]. Got {value!r} instead.")
        return _build(hint, value, where)
    if hint in _WORDS:
        return _scalar(hint, value, where)
    if isinstance(value, list):
        [item, *_] = get_args(hint)
        return tuple(_scalar(item, each, f"{where}[{index}]") for index, each in enumerate(value))
    raise UsageError(f"'{where}' must be a list in [brackets]. Got {value!r} instead.")


def _parsed(parse: Callable[[str], object], value: object, where: str) -> object:
    try:
        return parse(str(_scalar(str, value, where)))
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def _scalar(hint: object, value: object, where: str) -> object:
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise UsageError(f"'{where}' must be {_WORDS[hint]}. Got {value!r} instead.")
    return value
