"""The function `load_encoder`, and the push of a trained encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inrzoo.addresses import PINNED, is_hub_name
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


def push_encoder(
    run: str | Path, repo_id: str, private: bool = False, *, dataset: str | None = None
) -> tuple[PushedModel, str | None]:
    """Publish the encoder of a run as a model on the Hub: tensors, config and card. The same call continues.

    Of a run of the leaderboard the encoder is that of the first training seed. Its row becomes
    `.eval_results/TASK.yaml`, by which the Hub's own leaderboards find the model, and names the model from then on.

    Args:
        run: folder of a run of `classify`, `contrastive`, `autoencode` or `regress`, or of the leaderboard.
        repo_id: `USER/NAME`.
        private: whether a new repository is private.
        dataset: for a run of the leaderboard, `USER/NAME` of the dataset on the Hub that has its store, with
            `@COMMIT` if that is known; the one that it was trained from if None.

    Returns:
        What was sent; and the `.eval_results/TASK.yaml` among it, None without a row or without its dataset.

    Raises:
        InrzooError: there is no such run, it trained no encoder, or the Hub refuses; one line says which.
    """
    from inrzoo import checkpoint, hub, leaderboard
    from inrzoo.hub.encoder_card import encoder_card
    from inrzoo.tasks.evaluation import restored
    from inrzoo.tasks.trained_encoders import CONFIG, encoder_of
    from inrzoo.tasks.training.journal import validation_at
    from inrzoo.tasks.training.run_file import run_file_text

    hub.require_model_name(repo_id)
    folder = Path(run)
    row = leaderboard.Result.read(folder / leaderboard.RESULT) if is_leaderboard_run(folder) else None
    if row is None and dataset is not None:
        raise InrzooError(f"--dataset {dataset} is for a run of the leaderboard; {run} has no {leaderboard.RESULT}")
    training = folder if row is None else folder / f"seed-{row.seeds[0]}"
    best = checkpoint.read(training)
    encoder = encoder_of(best, str(training), validation_at(training, best.progress["best_step"]))
    files = encoder.files()
    options = run_file_text(restored(best, {}), {}, str(training))
    facts = None if row is None else leaderboard.row_facts(row)
    card = encoder_card(json.loads(files[CONFIG]), repo_id, options, facts)
    results: dict[str, bytes] = {}
    if row is not None and (place := dataset or _dataset_of(encoder.config.store)) is not None:
        results = {leaderboard.results_path(row): leaderboard.results_file([row], place)}
    pushed = hub.push_model({**files, "README.md": card.encode(), **results}, repo_id, private)
    if row is not None and row.model != repo_id:
        replace(row, model=repo_id).write(folder / leaderboard.RESULT)
    return pushed, next(iter(results), None)


def is_leaderboard_run(folder: Path) -> bool:
    """Return whether a folder is a run of the leaderboard: trainings of one encoder and their row."""
    from inrzoo.leaderboard import RESULT

    return (folder / RESULT).is_file()


def _dataset_of(store: Mapping[str, Any]) -> str | None:
    """Return `USER/NAME@COMMIT` of the dataset that a run was trained from; None for a store that is not on the Hub."""
    match = PINNED.fullmatch(str(store.get("url", "")))
    return None if match is None else match[1]
