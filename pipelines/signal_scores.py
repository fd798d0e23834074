"""Numbers of each signal by each training, kept in files: what intervals over seeds and signals need."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inrzoo.checkpoint import read
from inrzoo.store.files import write_atomically
from inrzoo.tasks import Comparison, UnfittedDataset
from inrzoo.tasks.hypernetwork import Hypernetwork
from inrzoo.tasks.measurements import over_seeds_and_signals
from inrzoo.tasks.novel_views import NovelViews


def scores(
    task: Hypernetwork | NovelViews, data: UnfittedDataset, run: Path, split: str, **changes: Any
) -> dict[str, Tensor]:
    """The numbers of each signal of a split, (N,), by the name of the measurement.

    Args:
        task: what was trained.
        data: its signals.
        run: folder of the training; its best checkpoint is measured, and the numbers are kept in its folder `measured`.
        split: name of the split.
        **changes: fields of the task that are changed to measure.
    """
    said = "-".join([split, *(f"{name}={value}" for name, value in changes.items())])
    file = run / "measured" / f"{said.replace(' ', '')}.json"
    if not file.exists():
        state = read(run).module
        with torch.no_grad():
            found = replace(task, **changes).of_each_signal(data, split, state, "cpu")
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps({name: each_N.tolist() for name, each_N in found.items()}).encode())
    return {name: torch.tensor(each) for name, each in json.loads(file.read_text()).items()}


def compare(page: Comparison, claim: str, name: str, better: Tensor, worse: Tensor) -> None:
    """Add a finding on the same signals by each training.

    Args:
        page: gets the finding.
        claim: in words.
        name: of the measurement.
        better, worse: its numbers, (seeds, signals).
    """
    means = over_seeds_and_signals(name, better), over_seeds_and_signals(name, worse)
    page.check(claim, *means, paired=over_seeds_and_signals(name, better - worse))
