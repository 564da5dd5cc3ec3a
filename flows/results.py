"""What every command returns: a JSON object for `--json`, text for a terminal, an exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from flows.errors import DONE


class Result(Protocol):
    """The result of a command. Its JSON object contains at least `path`."""

    @property
    def exit_code(self) -> int:
        """0 done, 1 failed, 3 no data, 4 partial."""
        ...

    def to_json(self) -> Mapping[str, object]:
        """Facts by name, for --json."""
        ...

    def to_text(self) -> str:
        """Lines for a terminal."""
        ...


class Done:
    """Base class of results that always succeed."""

    exit_code = DONE


@dataclass(frozen=True)
class CommandResult:
    """A result whose facts and text are already known."""

    facts: Mapping[str, object]
    text: str
    exit_code: int = DONE

    def to_json(self) -> Mapping[str, object]:
        """Return the facts."""
        return self.facts

    def to_text(self) -> str:
        """Return the text."""
        return self.text
