"""The settings of `prune`."""

from __future__ import annotations

from dataclasses import dataclass

from flows.jobs.limits import require_range

MOST_DAYS = 36_500


@dataclass(frozen=True, kw_only=True)
class RetentionSettings:
    """[retention]: days after which `prune` offers to delete; 0 = never.

    Reports are never deleted.
    """

    scores: int = 0
    superseded: int = 90
    latents: int = 0
    models: int = 180
    work: int = 14

    def __post_init__(self) -> None:
        for name in ("scores", "superseded", "latents", "models", "work"):
            require_range(f"retention.{name}", getattr(self, name), 0, MOST_DAYS)
