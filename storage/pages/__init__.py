"""HTML pages that load nothing from the network, with every value escaped."""

from __future__ import annotations

import math
from functools import lru_cache

import jinja2

from storage.units import format_bytes
from storage.visible_text import visible, visible_lines, visible_name

MOST_OF_ID = 28  # characters of an id on a card
LONG, LONGEST = 1e4, 1e9  # numbers between them have thousands separators
MOST_OF_SENTENCE = 400  # characters


def render(template: str, **values: object) -> bytes:
    """Fill a template of storage/pages/templates. An undefined value is an error."""
    return _environment().get_template(template).render(**values).encode()


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("storage.pages"),
        autoescape=True,
        finalize=_visible_value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=format_bytes,
        number=number,
        count=count,
        percent=percent,
        tone=tone,
        name=visible_name,
        short=short_text,
        middle=middle,
    )
    return environment


def _visible_value(value: object) -> object:
    """Show characters of names and values that would act unseen; markup stays as it is."""
    return visible_lines(value) if type(value) is str else value  # markup is a subclass


def number(value: float | None) -> str:
    """Format a number with four significant digits; a dash if there is none."""
    if value is None or math.isnan(value):
        return "–"
    if LONG <= abs(value) < LONGEST:
        return f"{float(f'{value:.4g}'):,.0f}"
    return f"{value:.4g}" if math.isfinite(value) else "∞"


def count(value: int | None) -> str:
    """Format an integer with thousands separators; a dash if there is none."""
    return "–" if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """Format a share as a percentage with three significant digits; a dash if there is none."""
    return "–" if value is None else f"{100 * value:.3g} %"


def short_text(text: str) -> str:
    """Make a sentence visible, and cut a long one."""
    return visible(text[:MOST_OF_SENTENCE]) + ("…" if len(text) > MOST_OF_SENTENCE else "")


def middle(text: str) -> str:
    """Make an id visible, and shorten a long one in the middle, where ids differ least."""
    if len(text) <= MOST_OF_ID:
        return visible(text)
    half = MOST_OF_ID // 2
    return f"{visible(text[:half])}…{visible(text[-half:])}"


def tone(verdict: str) -> str:
    """Return the CSS class of a verdict: good, warn or bad."""
    if verdict == "OK":
        return "good"
    return "warn" if verdict.startswith(("REVIEW", "DRIFT", "NO DATA")) else "bad"
