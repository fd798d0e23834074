"""Runs of the board: an encoder is trained with several seeds, answers, and is scored.

Shape letters: N INRs of a split, P parameters.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inrzoo import registry
from inrzoo.checkpoint import BEST, Checkpoint, read
from inrzoo.encoders import Encoder
from inrzoo.errors import InrzooError
from inrzoo.leaderboard.definition import BenchmarkTask
from inrzoo.leaderboard.evaluator import Evaluator
from inrzoo.leaderboard.isolation import closed
from inrzoo.leaderboard.result import Result, code_sha256, encoder_name, environment, multiply_adds
from inrzoo.leaderboard.transfer import require_transferable, transferred
from inrzoo.tasks import Measurement, Task, cost, over_runs, train
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.evaluation import restored
from inrzoo.tasks.few_shot import FewShot
from inrzoo.tasks.regress import Regress
from inrzoo.tasks.reporting.cost import device_name
from inrzoo.tasks.training.loop import chosen_device
from inrzoo.tasks.training.options import make_task
from inrzoo.tasks.weight_tasks import WeightTask

RESULT = "result.json"
"""File name, in the folder of a run, of its result."""
ROWS_AT_ONCE = (512, 333)
"""Rows of a batch in the two passes in which an encoder answers; at most half of all in the second."""
SHARE_ALIKE = 0.999
"""Least share of answers that both passes must agree in; rounding may move a few on a boundary."""


@dataclass(frozen=True)
class Plan:
    """What a run would cost, from a few steps of it.

    Attributes:
        steps: optimiser steps of one training.
        seconds: of one training, extrapolated.
        seeds: number of trainings.
    """

    steps: int
    seconds: float
    seeds: int


def run(
    task: str | Path | BenchmarkTask,
    encoder: str,
    store: str | Path,
    out: Path,
    *,
    test_store: str | Path | None = None,
    seeds: int = 3,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> Result:
    """Train an encoder on the store of a benchmark task, score it, and write its row. Repeat the call to continue.

    Args:
        task: name of a benchmark task, its .toml file, or the task.
        encoder: a name that `inrzoo list` shows, or `package.module:Class` of yours.
        store: the folder or URL of the store that the task pins.
        out: folder of the run: a training for each seed, and `result.json`.
        test_store: the second store of a task that pins one; beside the first by default.
        seeds: number of trainings.
        settings: fields of the training and, with `encoder.` before them, of the encoder: `{"steps": 500}`.
        device: `cpu`, `cuda` or `auto`.
        quiet: whether to hide progress.

    Raises:
        InrzooError: the store is another one, a setting is unknown, the encoder cannot take the INRs of the second
            store, or answers depend on more than the weights.
    """
    if seeds < 1:
        raise InrzooError(f"seeds = {seeds} is not allowed; it must be at least 1")
    evaluator = Evaluator(task, store, test_store)
    definition, given = evaluator.task, dict(settings or {})
    named = str(store) if evaluator.store.location.startswith("hf://") else None
    store = store if named is None else evaluator.store.location  # at its commit, which checkpoints record
    trainings = [_training(evaluator, encoder, {**given, "seed": seed}) for seed in range(seeds)]
    scores = []
    for number, training in enumerate(trainings):
        folder = out / f"seed-{number}"
        train(training, store, folder, device=device, quiet=quiet, named=named)
        scores.append(score(evaluator, folder, device=device))
    network = _network(read(out / "seed-0" / BEST), evaluator, chosen_device(device))
    whole = over_runs([{"score": one} for one in scores])["score"]
    result = Result(
        task=definition.name,
        content_sha256=definition.content_sha256,
        measure=definition.measure,
        encoder={"name": encoder_name(encoder), **_arguments(given)},
        reads=network.reads,
        code_sha256=code_sha256(type(network)),
        command=_command(task if isinstance(task, str | Path) else definition.name, encoder, seeds, given),
        seeds=list(range(seeds)),
        scores=[one.mean for one in scores],
        mean=whole.mean,
        interval=whole.interval if seeds > 1 else None,
        inrs=evaluator.num_inrs,
        training_inrs=len(evaluator.training()),
        steps=trainings[0].steps,
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=multiply_adds(network),
        cpu_seconds=[round(cost(out / f"seed-{number}").cpu_seconds, 1) for number in range(seeds)],
        environment=environment(device_name(chosen_device(device))),
    )
    result.write(out / RESULT)
    return result


def plan(
    evaluator: Evaluator,
    encoder: str,
    out: Path,
    *,
    seeds: int = 3,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> Plan:
    """Say how long a run would take, from ten steps of it, in a folder that is removed again."""
    import shutil
    import tempfile

    training, store = _training(evaluator, encoder, dict(settings or {})), evaluator.store.location
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-plan-", dir=out.parent))
    try:
        train(training, store, folder, device=device, quiet=True, stop_after=3)  # the first steps are slower
        before = cost(folder).seconds
        train(training, store, folder, device=device, quiet=True, stop_after=10)
        per_step = (cost(folder).seconds - before) / 10
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Plan(steps=training.steps, seconds=per_step * training.steps, seeds=seeds)


def score(evaluator: Evaluator, folder: Path, *, device: str = "auto") -> Measurement:
    """Measure the best checkpoint of a training, on weights without labels.

    The encoder answers twice, in two orders and other batches, and cannot open files of the stores meanwhile.

    Raises:
        InrzooError: the checkpoint was trained on other data, or its answers depend on more than the weights.
    """
    checkpoint = read(folder / BEST)
    _require_trained_on(evaluator, checkpoint, folder)
    torch_device = chosen_device(device)
    answers = {}
    for split, weights in evaluator.questions().items():
        answer = _answerer(checkpoint, evaluator, split, torch_device)
        order = torch.randperm(len(weights))
        with closed(evaluator.folders), torch.no_grad():
            first = _in_batches(answer, weights, ROWS_AT_ONCE[0], torch_device)
            second = _in_batches(answer, weights[order], min(ROWS_AT_ONCE[1], -(-len(weights) // 2)), torch_device)
        _require_alike(first[order], second)
        answers[split] = first
    return evaluator.score(answers)


def submit(
    folder: Path,
    store: str | Path,
    board: Path,
    *,
    task: str | Path | BenchmarkTask | None = None,
    test_store: str | Path | None = None,
    device: str = "auto",
) -> Path:
    """Measure the trainings of a run again and, if its result is true, copy it to the board.

    Args:
        folder: of the run.
        store: of the benchmark task.
        board: the folder of results; the row becomes BOARD/TASK/ENCODER.json.
        task: as in `run`; the one that the result names if None.
        test_store: as in `run`.
        device: `cpu`, `cuda` or `auto`.

    Raises:
        InrzooError: a score in the result is not what its checkpoint reaches, or the encoder's code has changed.
    """
    result = Result.read(folder / RESULT)
    evaluator = Evaluator(result.task if task is None else task, store, test_store)
    if result.content_sha256 != evaluator.task.content_sha256:
        raise InrzooError(f"{folder / RESULT} was measured on another store than {evaluator.task.name} pins")
    for seed, recorded in zip(result.seeds, result.scores, strict=True):
        training = folder / f"seed-{seed}"
        measured = score(evaluator, training, device=device).mean
        if abs(measured - recorded) > 100 * (1 - SHARE_ALIKE):
            raise InrzooError(
                f"{folder / RESULT} records {recorded:.2f} for {training.name}; it reaches {measured:.2f}"
            )
    found = code_sha256(registry.find("encoders", str(result.encoder["name"])))
    if found != result.code_sha256:
        raise InrzooError(f"the code of {result.encoder['name']} is not that of {folder}; run it again")
    path = board / result.task / f"{file_name(result)}.json"
    result.write(path)
    return path


def file_name(result: Result) -> str:
    """Return the file name of a row, without its ending: the encoder and its arguments."""
    return "".join(letter if letter.isalnum() or letter in "_.=-" else "-" for letter in result.name).replace("--", "-")


def _training(evaluator: Evaluator, encoder: str, settings: Mapping[str, Any]) -> Task:
    """Return the training task of an encoder: the benchmark's defaults, then the settings, then what is pinned."""
    definition = evaluator.task
    pinned = {"column" if definition.measure == "r2" else "label": definition.column} if definition.column else {}
    fields = {**definition.defaults, **{key: value for key, value in settings.items() if "." not in key}, **pinned}
    tables = {key: value for key, value in settings.items() if "." in key}
    if fields.get("pretrained") is not None:
        raise InrzooError("pretrained is not allowed: a row is trained on the training split of the pinned store alone")
    task = make_task(definition.train, {**fields, "encoder": encoder}, tables)
    if not isinstance(task, WeightTask | FewShot):
        raise InrzooError(f"{definition.name}: train = {definition.train!r} is not a task that trains an encoder")
    if definition.test_build:
        require_transferable(task, evaluator.training(), evaluator.dataset(definition.split))
    return task


def _arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix("encoder."): value for key, value in settings.items() if key.startswith("encoder.")}


def _command(task: str | Path, encoder: str, seeds: int, settings: Mapping[str, Any]) -> str:
    words = ["inrzoo", "leaderboard", "run", str(task), "--encoder", encoder, "--seeds", str(seeds)]
    words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return shlex.join(words)


def _network(checkpoint: Checkpoint, evaluator: Evaluator, device: torch.device) -> Encoder:
    task: Any = restored(checkpoint, {})
    return task.trained(evaluator.training(), checkpoint.module, device).encoder  # type: ignore[no-any-return]


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
    if evaluator.task.measure == "r2":
        if not isinstance(task, Regress):
            raise InrzooError(f"{evaluator.task.name} asks for numbers; train = {evaluator.task.train!r} has none")
        return task.restored(dataset, state, device).of_weights
    return task.trained(dataset, state, device).of_weights  # type: ignore[no-any-return]


def _in_batches(answer: Callable[[Tensor], Tensor], weights: Tensor, rows: int, device: torch.device) -> Tensor:
    return torch.cat([answer(part.to(device)).cpu() for part in weights.split(rows)])


def _require_alike(first: Tensor, second: Tensor) -> None:
    """Raise InrzooError if answers to the same INRs differ between two passes."""
    if first.is_floating_point():
        alike = torch.isclose(first, second, rtol=1e-2, atol=1e-3 * float(first.abs().max()))
    else:
        alike = first == second
    share = float(alike.double().mean())
    if share < SHARE_ALIKE:
        raise InrzooError(
            f"answers depend on the order or the batch of the INRs: {100 * (1 - share):.1f} % changed with it; "
            "an encoder must encode each INR independently"
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
