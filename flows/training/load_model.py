"""Load the model that a command runs: the champion, or one of its versions."""

from __future__ import annotations

from aemodel.bundle import from_files
from aemodel.errors import BundleError
from aemodel.model import Autoencoder
from flows.errors import UsageError, WorkFailed
from flows.jobs.workspace import Workspace
from storage.errors import DamagedError
from storage.models import CHAMPION, champion_id, load_bundle, missing_champion


def load_model(workspace: Workspace, *, device: str, model_id: str = "") -> tuple[str, Autoencoder]:
    """Load the model with this id, or the champion, and return its id with it.

    Raises UsageError if no id is given and there is no champion.
    """
    chosen = model_id or champion_id(workspace.models)
    if not chosen:
        raise UsageError(f"{workspace.models}: {missing_champion(workspace.models)}")
    return chosen, from_files(load_bundle(workspace.models, chosen), device=device)


def load_champion(workspace: Workspace, *, device: str) -> tuple[str, Autoencoder | None]:
    """Load the champion and return its id with it; '' and None if no model has been promoted.

    Raises WorkFailed that says how to train without it if it is damaged or missing.
    """
    current = champion_id(workspace.models)
    if not current:
        return "", None
    try:
        return load_model(workspace, device=device, model_id=current)
    except (BundleError, DamagedError) as error:
        raise WorkFailed(
            f"{error}. A new model is compared with the champion; to train without one, delete "
            f"{workspace.models / current} and {workspace.models / CHAMPION}"
        ) from error
