"""The model that a command runs: the champion, or one of its versions."""

from __future__ import annotations

from aemodel.bundle import from_files
from aemodel.model import Autoencoder
from flows.errors import UsageError
from flows.jobs.workspace import Workspace
from storage.models import load_bundle, read_champion


def load_model(workspace: Workspace, *, device: str, model_id: str = "") -> tuple[str, Autoencoder]:
    """The model with this id, or the champion. Raises UsageError where none has been promoted."""
    champion = read_champion(workspace.models)
    if not model_id and champion is None:
        raise UsageError(
            f"{workspace.models}: no model is in force yet; run 'nightglass train' first, or 'nightglass models promote'"
        )
    chosen = model_id or (champion.current if champion else "")
    return chosen, from_files(load_bundle(workspace.models, chosen), device=device)


def load_champion(workspace: Workspace, *, device: str) -> Autoencoder | None:
    """The model in force, or None where no model has been promoted yet."""
    champion = read_champion(workspace.models)
    return (
        from_files(load_bundle(workspace.models, champion.current), device=device)
        if champion
        else None
    )
