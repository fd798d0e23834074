"""Runs of the board: a network is trained with several seeds, answers, and is scored."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inrzoo import registry
from inrzoo.checkpoint import BEST, Checkpoint, read
from inrzoo.decoders import Decoder
from inrzoo.encoders import Encoder
from inrzoo.errors import InrzooError
from inrzoo.leaderboard.answering import SHARE_ALIKE, score
from inrzoo.leaderboard.definition import BenchmarkTask
from inrzoo.leaderboard.evaluator import Evaluator
from inrzoo.leaderboard.result import Result, code_sha256, environment, multiply_adds
from inrzoo.leaderboard.transfer import require_transferable
from inrzoo.tasks import Measurement, Task, cost, over_runs, train
from inrzoo.tasks.edit import Edit
from inrzoo.tasks.evaluation import restored
from inrzoo.tasks.few_shot import FewShot
from inrzoo.tasks.reporting.cost import device_name
from inrzoo.tasks.training.loop import chosen_device
from inrzoo.tasks.training.options import make_task
from inrzoo.tasks.weight_tasks import WeightTask

RESULT = "result.json"
"""File name, in the folder of a run, of its result."""


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
    network: str,
    store: str | Path,
    out: Path,
    *,
    test_store: str | Path | None = None,
    seeds: int = 3,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> Result:
    """Train a network on the store of a benchmark task, score it, and write its row. Repeat the call to continue.

    Args:
        task: name of a benchmark task, its .toml file, or the task.
        network: name of an encoder, or of a decoder if the task measures these, as `inrzoo list` shows them; or
            `package.module:Class` of yours.
        store: the folder or URL of the store that the task pins.
        out: folder of the run: a training for each seed, and `result.json`.
        test_store: the second store of a task that pins one; beside the first by default.
        seeds: number of trainings.
        settings: fields of the training and, with `encoder.` or `decoder.` before them, of the network:
            `{"steps": 500}`.
        device: `cpu`, `cuda` or `auto`.
        quiet: whether to hide progress.

    Raises:
        InrzooError: the store is another one, a setting is unknown or changes what the task pins, the encoder cannot
            take the INRs of the second store, or answers depend on more than the weights.
    """
    if seeds < 1:
        raise InrzooError(f"seeds = {seeds} is not allowed; it must be at least 1")
    evaluator = Evaluator(task, store, test_store)
    definition, given = evaluator.task, dict(settings or {})
    named = str(store) if evaluator.store.location.startswith("hf://") else None
    store = store if named is None else evaluator.store.location  # at its commit, which checkpoints record
    trainings = [_training(evaluator, network, {**given, "seed": seed}) for seed in range(seeds)]
    scores = []
    for number, training in enumerate(trainings):
        folder = out / f"seed-{number}"
        train(training, store, folder, device=device, quiet=quiet, named=named)
        scores.append(score(evaluator, folder, device=device))
    result = Result(
        task=definition.name,
        content_sha256=definition.content_sha256,
        measure=definition.measure,
        command=_command(definition, task if isinstance(task, str | Path) else definition.name, network, seeds, given),
        seeds=list(range(seeds)),
        scores=[one.mean for one in scores],
        environment=environment(device_name(chosen_device(device))),
        **_facts(evaluator, out, [one.mean for one in scores], chosen_device(device)),
    )
    result.write(out / RESULT)
    return result


def plan(
    evaluator: Evaluator,
    network: str,
    out: Path,
    *,
    seeds: int = 3,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> Plan:
    """Say how long a run would take, from ten steps of it, in a folder that is removed again."""
    import shutil
    import tempfile

    training, store = _training(evaluator, network, dict(settings or {})), evaluator.store.location
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
        InrzooError: a score in the result is not what its checkpoint reaches, or the network's code has changed.
    """
    result = Result.read(folder / RESULT)
    evaluator = Evaluator(result.task if task is None else task, store, test_store)
    if result.content_sha256 != evaluator.task.content_sha256:
        raise InrzooError(f"{folder / RESULT} was measured on another store than {evaluator.task.name} pins")
    found = code_sha256(registry.find(f"{evaluator.task.network}s", str(result.encoder["name"])))
    if found != result.code_sha256:
        raise InrzooError(f"the code of {result.encoder['name']} is not that of {folder}; run it again")
    for seed, recorded in zip(result.seeds, result.scores, strict=True):
        training = folder / f"seed-{seed}"
        measured = score(evaluator, training, device=device).mean
        if abs(measured - recorded) > 100 * (1 - SHARE_ALIKE):
            raise InrzooError(
                f"{folder / RESULT} records {recorded:.2f} for {training.name}; it reaches {measured:.2f}"
            )
    for name, true in _facts(evaluator, folder, result.scores, chosen_device(device)).items():
        if not _equal(said := getattr(result, name), true):
            raise InrzooError(f"{folder / RESULT} records {name} = {said}; it is {true}")
    path = board / result.task / f"{file_name(result)}.json"
    result.write(path)
    return path


def file_name(result: Result) -> str:
    """Return the file name of a row, without its ending: the encoder and its arguments."""
    return "".join(letter if letter.isalnum() or letter in "_.=-" else "-" for letter in result.name).replace("--", "-")


def _training(evaluator: Evaluator, network: str, settings: Mapping[str, Any]) -> Task:
    """Return the training task of a network: the benchmark's defaults, then the settings, then what is pinned."""
    definition = evaluator.task
    pinned: dict[str, Any] = {}
    if definition.column:
        pinned["column" if definition.measure == "r2" else "label"] = definition.column
    if definition.operation:
        pinned["operation"] = definition.operation
        if changed := [key for key in settings if key.partition(".")[0] == "operation"]:
            key = changed[0]
            raise InrzooError(f"{key} = {settings[key]} is not allowed: {definition.name} pins the operation")
    fields = {**definition.defaults, **{key: value for key, value in settings.items() if "." not in key}, **pinned}
    tables = {key: value for key, value in settings.items() if "." in key}
    if fields.get("pretrained") is not None:
        raise InrzooError("pretrained is not allowed: a row is trained on the training split of the pinned store alone")
    task = make_task(definition.train, {**fields, definition.network: network}, tables)
    if not isinstance(task, Edit if definition.network == "decoder" else WeightTask | FewShot):
        kind = "a decoder" if definition.network == "decoder" else "an encoder"
        raise InrzooError(f"{definition.name}: train = {definition.train!r} is not a task that trains {kind}")
    if definition.test_build:
        require_transferable(task, evaluator.training(), evaluator.dataset(definition.split))
    return task


def _command(definition: BenchmarkTask, task: str | Path, network: str, seeds: int, settings: Mapping[str, Any]) -> str:
    words = ["inrzoo", "leaderboard", "run", str(task), f"--{definition.network}", network, "--seeds", str(seeds)]
    words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return shlex.join(words)


def _network(task: Any, checkpoint: Checkpoint, evaluator: Evaluator, device: torch.device) -> Encoder | Decoder:
    if isinstance(task, Edit):
        return task.trained(evaluator.store, checkpoint.module, device)
    return task.trained(evaluator.training(), checkpoint.module, device).encoder  # type: ignore[no-any-return]


def _facts(evaluator: Evaluator, folder: Path, scores: Sequence[float], device: torch.device) -> dict[str, Any]:
    """Return what a row says beside its scores and can be found again from the trainings in a folder."""
    checkpoint = read(folder / "seed-0" / BEST)
    task: Any = restored(checkpoint, {})
    network = _network(task, checkpoint, evaluator, device)
    arguments = {key: value for key, value in getattr(task, evaluator.task.network).items() if key != "name"}
    whole = over_runs([{"score": Measurement("score", score, 0.0, 1)} for score in scores])["score"]
    errors = [error for error in map(evaluator.mse, scores) if error is not None]
    return {
        "encoder": {"name": registry.name_of(f"{evaluator.task.network}s", type(network)), **arguments},
        "mean": whole.mean,
        "interval": whole.interval if len(scores) > 1 else None,
        "reads": network.reads,
        "code_sha256": code_sha256(type(network)),
        "inrs": evaluator.num_inrs,
        "training_inrs": len(evaluator.training()),
        "steps": task.steps,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "multiply_adds": multiply_adds(network),
        "cpu_seconds": [round(cost(folder / f"seed-{number}").cpu_seconds, 1) for number in range(len(scores))],
        "mse": errors or None,
    }


def _equal(said: Any, true: Any) -> bool:
    """Return whether a recorded value is the one that was found again, up to rounding of floats."""
    if isinstance(true, float) or (isinstance(true, list) and true):
        return said is not None and np.shape(said) == np.shape(true) and np.allclose(said, true, rtol=1e-3, atol=0)
    return bool(said == true)
