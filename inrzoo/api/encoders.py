"""The function `load_encoder`, and the push of a trained encoder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from inrzoo.addresses import is_hub_name
from inrzoo.errors import InrzooError

if TYPE_CHECKING:
    from inrzoo.hub.encoder_files import PushedModel
    from inrzoo.tasks import TrainedEncoder


def load_encoder(place: str | Path) -> TrainedEncoder:
    """Load a trained encoder of INRs' weights, in evaluation mode.

    Args:
        place: folder of a run, for its best checkpoint; a checkpoint; a folder with `config.json` and
            `model.safetensors`; or a model on the Hub, `USER/NAME`, with an optional `@REVISION`. A folder of that
            name goes before the Hub.

    Raises:
        InrzooError: there is no encoder, a file is damaged, or its class is neither one of inrzoo and of installed
            packages nor trusted (`inrzoo.trust.trust`).

    Example:
        >>> fields = {"encoder": "flat_mlp", "batch_size": 8, "steps": 4, "validate_every": 2}
        >>> run = inrzoo.train("classify", "digits.zarr", out="run", quiet=True, **fields)
        >>> encoder = inrzoo.load_encoder("run").check("digits.zarr")
        >>> encoder(torch.from_numpy(inrzoo.open_store("digits.zarr").weights[:5, 0, -1])).shape
        torch.Size([5, 64])
    """
    from inrzoo import checkpoint
    from inrzoo.tasks.trained_encoders import CONFIG, TENSORS, encoder_from_files, encoder_of

    path = Path(place)
    if (path / CONFIG).is_file() and (path / TENSORS).is_file():
        return encoder_from_files((path / CONFIG).read_bytes(), (path / TENSORS).read_bytes(), str(path))
    on_hub = isinstance(place, str) and (place.startswith("hf://") or is_hub_name(place))
    if not on_hub or path.exists():
        return encoder_of(checkpoint.read(path), str(path))
    from inrzoo import hub

    try:
        files, pinned = hub.read_model(str(place))
    except InrzooError as error:
        raise InrzooError(f"no encoder at {place}: there is no such run, and as a model on the Hub: {error}") from None
    return encoder_from_files(files[CONFIG], files[TENSORS], pinned)


def push_encoder(run: str | Path, repo_id: str, private: bool = False) -> PushedModel:
    """Publish the encoder of a run as a model on the Hub: tensors, config and card. The same call continues.

    Args:
        run: folder of a run of `classify`, `contrastive` or `regress`.
        repo_id: `USER/NAME`.
        private: whether a new repository is private.

    Raises:
        InrzooError: there is no such run, it trained no encoder, or the Hub refuses; one line says which.
    """
    from inrzoo import checkpoint, hub
    from inrzoo.hub.encoder_card import encoder_card
    from inrzoo.tasks.evaluation import restored
    from inrzoo.tasks.trained_encoders import CONFIG, encoder_of
    from inrzoo.tasks.training.journal import validation_at
    from inrzoo.tasks.training.run_file import run_file_text

    hub.require_model_name(repo_id)
    best = checkpoint.read(Path(run))
    encoder = encoder_of(best, str(run), validation_at(Path(run), best.progress["best_step"]))
    files = encoder.files()
    options = run_file_text(restored(best, {}), {}, str(run))
    card = encoder_card(json.loads(files[CONFIG]), repo_id, options)
    return hub.push_model({**files, "README.md": card.encode()}, repo_id, private)
