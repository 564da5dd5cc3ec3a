"""Load the model that a command runs: the champion, or one of its versions."""

from __future__ import annotations

from aemodel.bundle import from_files
from aemodel.model import Autoencoder
from flows.errors import UsageError
from flows.jobs.workspace import Workspace
from storage.models import load_bundle, read_champion


def load_model(workspace: Workspace, *, device: str, model_id: str = "") -> tuple[str, Autoencoder]:
    """Load the model with this id, or the champion, and return its id with it.

    Raises UsageError if no id is given and there is no champion.
    """
    chosen = model_id or _champion_id(workspace)
    if not chosen:
        raise UsageError(
            f"{workspace.models}: no champion yet; run 'nightglass train' first, "
            "or 'nightglass models promote'"
        )
    return chosen, from_files(load_bundle(workspace.models, chosen), device=device)


def load_champion(workspace: Workspace, *, device: str) -> Autoencoder | None:
    """Load the champion; None if no model has been promoted yet."""
    current = _champion_id(workspace)
    return load_model(workspace, device=device, model_id=current)[1] if current else None


def _champion_id(workspace: Workspace) -> str:
    champion = read_champion(workspace.models)
    return champion.current if champion else ""
