"""Answers of a trained network to a benchmark task: each INR by itself, some of them twice, with the store closed.

Shape letters: N INRs of a split, P parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inrzoo.checkpoint import BEST, Checkpoint, read
from inrzoo.errors import InrzooError
from inrzoo.leaderboard.evaluator import Evaluator
from inrzoo.leaderboard.isolation import closed
from inrzoo.leaderboard.transfer import transferred
from inrzoo.tasks import Measurement
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.edit import Edit, Editor
from inrzoo.tasks.evaluation import restored
from inrzoo.tasks.regress import Regress
from inrzoo.tasks.training.loop import chosen_device

ROWS_AT_ONCE = (512, 333)
"""Rows of a batch in the two passes in which a network answers; at most half of all in the second."""
SECOND_PASS = 2000
"""Maximum number of INRs of the second pass, drawn anew each time; answers of which one in 500 changes are seen."""
SHARE_ALIKE = 0.999
"""Least share of answers that both passes must agree in; rounding may move a few on a boundary."""


def score(evaluator: Evaluator, folder: Path, *, device: str = "auto") -> Measurement:
    """Measure the best checkpoint of a training, on weights without labels.

    The network answers twice, the second time for some INRs in another order and other batches, and cannot open files
    of the stores meanwhile.

    Raises:
        InrzooError: the checkpoint was trained on other data, or its answers depend on more than the weights.
    """
    checkpoint = read(folder / BEST)
    _require_trained_on(evaluator, checkpoint, folder)
    torch_device = chosen_device(device)
    answers = {}
    for split, weights in evaluator.questions().items():
        answer = _answerer(checkpoint, evaluator, split, torch_device)
        order = torch.randperm(len(weights))[:SECOND_PASS]
        with closed(evaluator.folders, evaluator.task.network), torch.no_grad():
            first = _in_batches(answer, weights, ROWS_AT_ONCE[0], torch_device)
            second = _in_batches(answer, weights[order], min(ROWS_AT_ONCE[1], -(-len(order) // 2)), torch_device)
        edits = evaluator.task.network == "decoder"  # beside the weights, their changes are small
        alike = (first - weights, second - weights[order]) if edits else (first, second)
        _require_alike(alike[0][order], alike[1], evaluator.task.network)
        answers[split] = first
    return evaluator.score(answers)


def _answerer(
    checkpoint: Checkpoint, evaluator: Evaluator, split: str, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """Return the function from weights (N, P) of a split, as they were fitted, to answers."""
    task: Any = restored(checkpoint, {})
    dataset = evaluator.dataset(split)
    state = transferred(checkpoint.module, evaluator.training().layout, dataset.layout)
    if evaluator.task.measure == "accuracy":
        if not isinstance(task, Classify):
            raise InrzooError(f"{evaluator.task.name} asks for classes; train = {evaluator.task.train!r} has none")
        classifier = task.classifier(dataset, state, device)
        return lambda weights: classifier.head(classifier.weights.of_weights(weights)).argmax(1)
    if evaluator.task.measure == "error removed":
        if not isinstance(task, Edit):
            raise InrzooError(f"{evaluator.task.name} asks for edits; train = {evaluator.task.train!r} makes none")
        return Editor(task, dataset, task.trained(dataset.stores[0], state, device), device).edited
    if evaluator.task.measure == "r2":
        if not isinstance(task, Regress):
            raise InrzooError(f"{evaluator.task.name} asks for numbers; train = {evaluator.task.train!r} has none")
        return task.restored(dataset, state, device).of_weights
    return task.trained(dataset, state, device).of_weights  # type: ignore[no-any-return]


def _in_batches(answer: Callable[[Tensor], Tensor], weights: Tensor, rows: int, device: torch.device) -> Tensor:
    return torch.cat([answer(part.to(device)).cpu() for part in weights.split(rows)])


def _require_alike(first: Tensor, second: Tensor, network: str) -> None:
    """Raise InrzooError if answers to the same INRs differ between two passes."""
    if first.is_floating_point():
        alike = torch.isclose(first, second, rtol=1e-2, atol=1e-3 * float(first.abs().max()))
    else:
        alike = first == second
    if network == "decoder":
        alike = alike.all(1)  # one weight in a thousand can change all that an INR says
    share = float(alike.double().mean())
    if share < SHARE_ALIKE:
        raise InrzooError(
            f"answers depend on the order or the batch of the INRs: {100 * (1 - share):.1f} % changed with it; "
            f"{'an encoder must encode' if network == 'encoder' else 'a decoder must change'} each INR independently"
        )


def _require_trained_on(evaluator: Evaluator, checkpoint: Checkpoint, folder: Path) -> None:
    """Raise InrzooError if a network was trained on another store, or on more than the training split."""
    theirs, ours = checkpoint.identity.get("fingerprint"), evaluator.store.info.fingerprint
    if theirs != ours:
        raise InrzooError(f"{folder} was trained on another store than {evaluator.task.name} pins")
    count = checkpoint.identity.get("inrs", 0)
    if count > len(evaluator.training()):
        raise InrzooError(
            f"{folder} was trained on {count} INRs; the training split of {evaluator.task.name} has "
            f"{len(evaluator.training())}"
        )
