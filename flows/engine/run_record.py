"""run.json: when and where a run happened. It is not part of any digest."""

from __future__ import annotations

import os
import platform
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version


def package_versions() -> str:
    """Name the versions that figures may depend on, the same for all builds of a version."""
    names = {"nightglass": "nightglass", "PyTorch": "torch", "NumPy": "numpy"}
    return ", ".join(f"{name} {version(each).split('+')[0]}" for name, each in names.items())


@dataclass(frozen=True)
class RunRecord:
    """The start of a run."""

    began: datetime

    @classmethod
    def begin(cls) -> RunRecord:
        """A run that starts now."""
        return cls(datetime.now(UTC))

    def finish(self, **more: object) -> dict[str, object]:
        """The content of run.json for a run that ends now, with `more` facts.

        Times in UTC, duration in seconds, host, process and versions.
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
