"""Batches of INRs with their labels, signals, seeds and steps.

Shape letters: B INRs of a batch, P parameters, K coordinates, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.data._utils.collate import default_collate_fn_map

from inrzoo.display import Shown
from inrzoo.errors import InrzooError

Fields = TypeVar("Fields", bound="TensorFields")
Batch = TypeVar("Batch")
_WHOLE = "_whole"


class TensorFields(Shown):
    """A dataclass of tensors, dicts of tensors and such dataclasses, which move together."""

    def map(self: Fields, change: Callable[[Tensor], Tensor]) -> Fields:
        """Return a copy with every tensor mapped by `change`."""
        return type(self)(**{field.name: _change(getattr(self, field.name), change) for field in fields(self)})  # type: ignore[arg-type]

    def to(self: Fields, *args: Any, **kwargs: Any) -> Fields:
        """Return a copy on another device; arguments as in `Tensor.to`. A dtype would convert the labels too."""
        return self.map(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self: Fields) -> Fields:
        """Return a copy in page-locked memory; a DataLoader with `pin_memory=True` calls it."""
        return self.map(Tensor.pin_memory)

    def _shown(self) -> tuple[str, dict[str, str]]:
        """Return shapes, types and devices; no tensor is read."""
        return type(self).__name__, dict(_rows(self))


@dataclass(frozen=True, repr=False)
class WeightBatch(TensorFields):
    """A batch of INRs.

    Attributes:
        weights: (B, P) float32, normalised by the dataset.
        labels: label columns by name, (B,) int64 each; the first one is the class.
        signal: (B,) int64, number of the signal among those of all loaded stores.
        seed: (B,) int64, number of the fit of the signal.
        step: (B,) int64, step count of the snapshot.
        values: (B, K, C) float32, target values on the value scale; None unless requested.
    """

    weights: Tensor
    labels: dict[str, Tensor]
    signal: Tensor
    seed: Tensor
    step: Tensor
    values: Tensor | None = None

    @property
    def label(self) -> Tensor:
        """(B,) int64, the class: the first label column."""
        return next(iter(self.labels.values()))

    def __len__(self) -> int:
        """Return B, the number of INRs."""
        return len(self.weights)


@dataclass(frozen=True, repr=False)
class PairBatch(TensorFields):
    """Two INRs of each signal.

    Attributes:
        first, second: B INRs each; row i of both is the same signal.
    """

    first: WeightBatch
    second: WeightBatch

    def __len__(self) -> int:
        """Return B, the number of pairs."""
        return len(self.first)


@dataclass(frozen=True, repr=False)
class Episode(TensorFields):
    """One N-way K-shot task.

    Attributes:
        support: N·K INRs, class by class.
        query: N·Q INRs, class by class, of other signals than the support.
        support_target, query_target: int64, indices into `classes`.
        classes: (N,) int64, codes in the label column.
    """

    support: WeightBatch
    query: WeightBatch
    support_target: Tensor
    query_target: Tensor
    classes: Tensor


def join(batches: Sequence[Fields]) -> Fields:
    """Concatenate batches."""
    return batches[0] if len(batches) == 1 else type(batches[0])(**_joined([_contents(batch) for batch in batches]))


def _contents(batch: TensorFields) -> dict[str, Any]:
    return {field.name: getattr(batch, field.name) for field in fields(batch)}  # type: ignore[arg-type]


def as_whole(batch: Batch) -> Batch:
    """Mark a batch of a stream, which a DataLoader must not concatenate with others, and return it."""
    if isinstance(batch, TensorFields):
        object.__setattr__(batch, _WHOLE, True)  # not a field, so that equality and copies ignore it
    return batch


def _rows(batch: TensorFields, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield name, and shape, type and device, of every tensor."""
    for name, value in _contents(batch).items():
        if isinstance(value, TensorFields):
            yield from _rows(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            yield from ((f"{prefix}{name}[{key!r}]", _described(tensor)) for key, tensor in value.items())
        elif value is not None:
            yield f"{prefix}{name}", _described(value)


def _described(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')} on {tensor.device}"


def _joined(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {name: _join_values([part[name] for part in parts]) for name in parts[0]}


def _join_values(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return _joined(values)
    if isinstance(values[0], TensorFields):
        return join(values)
    return values[0] if values[0] is None else torch.cat(values)


def _change(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, dict):
        return {name: change(tensor) for name, tensor in value.items()}
    if isinstance(value, TensorFields):
        return value.map(change)
    return value if value is None else change(value)


def _collate(batches: Sequence[Any], *, collate_fn_map: Any = None) -> Any:
    if len(batches) > 1 and any(hasattr(batch, _WHOLE) for batch in batches):
        _refuse(batches)
    return join(batches)


def _refuse(batches: Sequence[Any], *, collate_fn_map: Any = None) -> Any:
    items, loader = ("episodes", "episodes") if isinstance(batches[0], Episode) else ("batches", "stream")
    raise InrzooError(
        f"a DataLoader with a batch_size would join {len(batches)} {items}; write DataLoader({loader}, batch_size=None)"
        + ("" if items == "episodes" else "; the size of batches is set by inrzoo.load(…, batch_size=16)")
    )


# Registers the types with the DataLoader (documentation of `default_collate`), so that it needs no collate_fn.
default_collate_fn_map[WeightBatch] = _collate
default_collate_fn_map[PairBatch] = _collate
default_collate_fn_map[Episode] = _refuse
