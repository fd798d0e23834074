"""Lake's one-shot classification with a trained few-shot encoder: 20 runs of 20 characters of one alphabet.

Lake, Salakhutdinov, Tenenbaum: Human-level concept learning through probabilistic program induction. Science, 2015.
In a run, each of 20 test drawings is matched with one of 20 training drawings, one of each character. Humans err in
4.5 % of the trials and Bayesian program learning in 3.3 % (their Fig. 6), both on drawings of 105 × 105 pixels.

Shape letters: L INRs of the store, F features, N characters of a run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from inrzoo.checkpoint import read
from inrzoo.errors import InrzooError
from inrzoo.tasks.contract import Device
from inrzoo.tasks.evaluation import require_same_conventions, restored
from inrzoo.tasks.few_shot import FewShot
from inrzoo.tasks.losses import accuracy, log_probabilities
from inrzoo.tasks.measurements import Measurement, measured_mean
from inrzoo.tasks.training.loop import chosen_device

COLUMNS = ("character", "run", "part")
"""Label columns of a store of runs, as the source `omniglot_runs` makes them."""
ERROR = "error of a one-shot run"
"""Name of the measurement."""


def one_shot_runs(run: Path, path: str | Path, *, device: Device = "auto", force: bool = False) -> Measurement:
    """Measure the error of a few-shot encoder on the one-shot runs of Omniglot.

    A test drawing is taken for the character of the training drawing whose features have the greatest cosine with its
    own. Two drawings may be taken for the same character, as in Lake's procedure.

    Args:
        run: the folder of a run of `inrzoo train few-shot`, for its best checkpoint, or a checkpoint. Its encoder
            should not have seen the evaluation set: train it with `splits = "official"` of the source `omniglot`.
        path: the store of the runs: `inrzoo build omniglot_runs --init TRAINING_STORE`.
        device: `cpu`, `cuda` or `auto`.
        force: whether to go on, with a warning, if the INRs were fitted with other settings than those of the training.

    Returns:
        The mean error in percent; its 95 % interval is over runs.

    Raises:
        InrzooError: the run is of another task, the store holds no one-shot runs, or its INRs have other conventions.
    """
    checkpoint = read(run)
    task = restored(checkpoint, {})
    if not isinstance(task, FewShot):
        raise InrzooError(f"{run} is a run of {checkpoint.task['name']}; one-shot runs need one of few-shot")
    require_same_conventions(checkpoint, task, path, force=force)
    torch_device = chosen_device(device)
    dataset = task.dataset(path, None, False)
    info = dataset.stores[0].info
    if missing := [column for column in COLUMNS if column not in info.label_columns]:
        raise InrzooError(
            f"{path} has no label column {missing[0]}; expected a store of one-shot runs: inrzoo build omniglot_runs"
        )
    signals = dataset.rows.signals(dataset.rows.locations(np.arange(len(dataset))))
    character_L, run_L, part_L = (dataset.labels[column][signals] for column in COLUMNS)
    training = info.label_names["part"].index("training")
    with torch.no_grad():
        features_LF = task.trained(dataset, checkpoint.module, torch_device).features_of(dataset, torch_device).cpu()
    errors = []
    for number in np.unique(run_L):
        support = np.flatnonzero((run_L == number) & (part_L == training))
        query = np.flatnonzero((run_L == number) & (part_L != training))
        names = character_L[support]
        if len(np.unique(names)) < len(names) or not np.isin(character_L[query], names).all() or not len(query):
            name = info.label_names["run"][number]
            raise InrzooError(f"{path}: {name} must have one training drawing of each character of its test drawings")
        order = np.argsort(names)
        scores = log_probabilities(
            features_LF[support[order]], features_LF[query], torch.arange(len(names)), len(names), 1.0, "matching"
        )
        target = torch.from_numpy(np.searchsorted(names[order], character_L[query]))
        errors.append(100 * (1 - accuracy(scores, target)))
    return measured_mean(ERROR, torch.tensor(errors, dtype=torch.float64))
