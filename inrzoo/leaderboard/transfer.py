"""Transfer: a network that was trained on INRs of one architecture answers for INRs of another one.

Function encoders take any INR of the same domain. An encoder of weights takes another architecture if its own tensors
have the same shapes for both layouts: those that treat neurons alike take wider layers, and none here more layers, as
each has its own parameters.

Shape letters: P parameters of one INR.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from inrzoo.differences import differences
from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightDataset
from inrzoo.loaders.compatibility import conventions
from inrzoo.store import Store
from inrzoo.tasks.contract import Task
from inrzoo.tasks.inputs import make_encoder, normalisation
from inrzoo.tasks.weight_tasks import WeightTask
from inrzoo.weights import WeightLayout

SHARED = ("coords", "values", "label_columns", "label_names", "split_names")
"""Conventions in which both stores are the same: where a function is defined, what its values mean, and the labels."""
STATISTICS = ("inputs.mean", "inputs.std")
"""Ends of the names of the tensors that a module has one number a parameter in, (P,)."""


def beside(store: str | Path, name: str) -> str | Path:
    """Return the path or URL of a store of another name in the same place."""
    if isinstance(store, str) and "://" in store:
        return f"{store.rstrip('/').rpartition('/')[0]}/{name}"
    return Path(store).parent / name


def require_comparable(first: Store, second: Store, split: str) -> None:
    """Raise InrzooError unless functions and labels of two stores mean the same, and signals of a split are new.

    Args:
        first: the store that is trained on.
        second: the store that is measured.
        split: the measured one.
    """
    ours, theirs = ({key: conventions(store).get(key) for key in SHARED} for store in (first, second))
    if differing := differences(ours, theirs):
        raise InrzooError(f"{second.location} cannot test what {first.location} trains: {'; '.join(differing)}")
    used = {first.signal_ids[row] for row in np.flatnonzero(first.split != first.info.split_names.index(split))}
    measured = np.flatnonzero(second.split == second.info.split_names.index(split))
    if both := [second.signal_ids[row] for row in measured if second.signal_ids[row] in used]:
        raise InrzooError(
            f"{second.location} measures {len(both):,} signals that {first.location} trains on, {both[0]} among them"
        )


def require_transferable(task: Task, first: WeightDataset, second: WeightDataset) -> None:
    """Raise InrzooError unless the encoder of a task takes INRs of both datasets with the same tensors.

    Args:
        task: of the training.
        first: of the store that is trained on.
        second: of the store that is measured.
    """
    if not isinstance(task, WeightTask):
        raise InrzooError("a second store is measured where train = classify, contrastive or regress")
    name = task.encoder["name"]
    with torch.random.fork_rng(devices=[]):
        encoder, other = (make_encoder(task.encoder, data.layout, data.stores[0]) for data in (first, second))
    shapes, other_shapes = (
        {key: list(tensor.shape) for key, tensor in each.state_dict().items()} | {"features": [each.out_features]}
        for each in (encoder, other)
    )
    if differing := differences(shapes, other_shapes):
        raise InrzooError(
            f"{name} cannot be trained on {_words(first.layout)} and tested on {_words(second.layout)}: {differing[0]}"
            f"{f' and {len(differing) - 1} more differences' if differing[1:] else ''}; function_probe reads both"
        )
    if (kind := normalisation(task.normalise, encoder)) not in ("per_tensor", "none"):
        raise InrzooError(
            f"normalise = {kind!r} is not allowed where another layout is tested: it may have a number for each "
            "parameter; use per_tensor or none"
        )


def transferred(state: Mapping[str, Tensor], first: WeightLayout, second: WeightLayout) -> dict[str, Tensor]:
    """Return the state of a module for weights of another layout: statistics of tensors keep those of their name.

    Args:
        state: of a module that was trained on weights of the first layout.
        first, second: layouts; the state is for the second one.

    Raises:
        InrzooError: the second layout has another tensor, or the numbers of a tensor have statistics of their own.
    """
    if first == second:
        return dict(state)
    return {
        name: _statistic(tensor, first, second) if name.endswith(STATISTICS) else tensor
        for name, tensor in state.items()
    }


def _statistic(numbers_P: Tensor, first: WeightLayout, second: WeightLayout) -> Tensor:
    """Return one number of each tensor, repeated for the second layout, (P,)."""
    if len(numbers_P.unique()) == 1:  # weights as they were fitted
        return numbers_P[:1].expand(second.num_params).clone()
    of_tensor = first.split(numbers_P)
    parts = []
    for tensor in second.tensors:
        known = of_tensor.get(tensor.name)
        if known is None or len(known.unique()) != 1:
            raise InrzooError(
                f"inputs of {tensor.name} cannot be normalised as in training: "
                f"{'no such tensor was trained on' if known is None else 'each parameter has a number of its own'}"
            )
        parts.append(known.flatten()[:1].expand(tensor.size))
    return torch.cat(parts)


def _words(layout: WeightLayout) -> str:
    return f"{layout.num_params:,} parameters in {len(layout.tensors)} tensors"
