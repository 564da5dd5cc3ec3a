"""What every command returns: a JSON object for `--json`, text for a terminal, an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from flows.errors import DONE


class Result(Protocol):
    """The result of a command. Its JSON object holds at least `path`."""

    @property
    def exit_code(self) -> int:
        """0 done, 1 failed, 3 no data, 4 partial."""
        ...

    def to_json(self) -> Mapping[str, object]:
        """The facts, by name."""
        ...

    def to_text(self) -> str:
        """The facts as a person at the terminal reads them."""
        ...


class Done:
    """Base of results that are never anything but done."""

    exit_code = DONE


@dataclass(frozen=True)
class CommandResult:
    """A result whose facts and text are at hand."""

    facts: Mapping[str, object]
    text: str
    exit_code: int = DONE

    def to_json(self) -> Mapping[str, object]:
        """Return the facts."""
        return self.facts

    def to_text(self) -> str:
        """Return the text."""
        return self.text
