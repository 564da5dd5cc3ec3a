"""run.json: when, where and how long a run was. It stands outside all digests."""

from __future__ import annotations

import os
import platform
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any


@dataclass(frozen=True)
class RunRecord:
    """The beginning of a run."""

    began: datetime

    @classmethod
    def begin(cls) -> RunRecord:
        """Now."""
        return cls(datetime.now(UTC))

    def finish(self, **more: object) -> dict[str, Any]:
        """The facts of a run that ends now.

        Times in UTC, seconds, host, versions, and whatever else is given.
        """
        ended = datetime.now(UTC)
        return {
            "format_version": 1,
            "began": self.began.isoformat(timespec="seconds"),
            "ended": ended.isoformat(timespec="seconds"),
            "seconds": round((ended - self.began).total_seconds(), 3),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "python": platform.python_version(),
            "nightglass": version("nightglass"),
            **more,
        }
