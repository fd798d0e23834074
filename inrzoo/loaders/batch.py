"""INRs with their labels, signals, seeds and steps: batches of them, pairs, episodes, and single ones.

Shape letters: B INRs of a batch (a single INR has no such dimension), P parameters, K coordinates, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar, overload

import torch
from torch import Tensor
from torch.utils.data._utils.collate import default_collate_fn_map

from inrzoo.errors import InrzooError
from inrzoo.loaders.columns import Columns, Kind, columns

Batch = TypeVar("Batch")
_WHOLE = "_whole"


@columns
class WeightBatch(Columns):
    """A batch of INRs, or a single one: a mapping, a pytree, and a dataclass with the columns as attributes.

    Its length is B, the number of INRs; that of `batch.keys()` is the number of columns.

    Attributes:
        weights: (B, P) float32, normalised by the dataset.
        labels: label columns by name, (B,) int64 each; the first one is the class, which is the column `label` too.
        signal: (B,) int64, number of the signal among those of all loaded stores.
        seed: (B,) int64, number of the fit of the signal.
        step: (B,) int64, step count of the snapshot.
        targets: (B, K, C) float32, values on the value scale that the INRs were fitted to; absent unless requested.

    Example:
        >>> batch = inrzoo.load("digits.zarr", split="train")[[5, 17, 4]]
        >>> batch.weights is batch["weights"], batch["label"].shape, len(batch)
        (True, torch.Size([3]), 3)
        >>> list(dict(batch))
        ['weights', 'label', 'labels', 'signal', 'seed', 'step']
    """

    DERIVED: ClassVar[tuple[str, ...]] = ("label",)

    weights: Tensor
    labels: dict[str, Tensor]
    signal: Tensor
    seed: Tensor
    step: Tensor
    targets: Tensor | None = None

    @property
    def label(self) -> Tensor:
        """(B,) int64, the class: the first label column."""
        return next(iter(self.labels.values()))

    @property
    def is_single(self) -> bool:
        """Whether this is one INR, without the dimension B."""
        return self.weights.ndim == 1

    def __len__(self) -> int:
        """Return B, the number of INRs.

        Raises:
            TypeError: this is a single INR.
        """
        if self.is_single:
            raise TypeError("a single INR has no length; dataset[[number]] is a batch of one")
        return len(self.weights)

    def _all(self) -> dict[str, Any]:
        parts = self.parts()
        weights = {"weights": parts.pop("weights")}
        return weights | ({"label": self.label} if self.labels else {}) | parts


@columns
class PairBatch(Columns):
    """Two INRs of each signal, or of a single one.

    Attributes:
        first, second: B INRs each; row i of both is the same signal.
    """

    first: WeightBatch
    second: WeightBatch

    @property
    def is_single(self) -> bool:
        """Whether this is one pair, without the dimension B."""
        return self.first.is_single

    def __len__(self) -> int:
        """Return B, the number of pairs."""
        return len(self.first)


@columns
class Episode(Columns):
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

    def __len__(self) -> int:
        """Return the number of INRs, N·K + N·Q."""
        return len(self.support) + len(self.query)


class Items(Sequence[Kind], Generic[Kind]):
    """The single items of a batch, made one by one when they are asked for.

    A DataLoader gives them to its `collate_fn`. The default one takes the batch as it was read.
    """

    def __init__(self, batch: Kind) -> None:
        self.batch = batch

    def __len__(self) -> int:
        """Return B."""
        return len(self.batch)

    @overload
    def __getitem__(self, index: int) -> Kind: ...
    @overload
    def __getitem__(self, index: slice) -> list[Kind]: ...
    def __getitem__(self, index: int | slice) -> Kind | list[Kind]:
        """Return one item, or a list of some."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.batch.map(lambda tensor: tensor[index])


def join(batches: Sequence[Kind]) -> Kind:
    """Concatenate batches; single INRs and pairs are stacked."""
    single = getattr(batches[0], "is_single", False)
    if len(batches) == 1 and not single:
        return batches[0]
    return _joined(batches, torch.stack if single else torch.cat)


def _joined(batches: Sequence[Kind], put_together: Callable[[list[Tensor]], Tensor]) -> Kind:
    parts = [batch.parts() for batch in batches]
    return type(batches[0])(**{name: _join_values([part[name] for part in parts], put_together) for name in parts[0]})


def _join_values(values: list[Any], put_together: Callable[[list[Tensor]], Tensor]) -> Any:
    if isinstance(values[0], Columns):
        return _joined(values, put_together)
    if isinstance(values[0], dict):
        return {name: put_together([value[name] for value in values]) for name in values[0]}
    return put_together(values)


def as_whole(batch: Batch) -> Batch:
    """Mark a batch of a stream, which a DataLoader must not concatenate with others, and return it."""
    if isinstance(batch, Columns):
        object.__setattr__(batch, _WHOLE, True)  # not a field, so that equality and copies ignore it
    return batch


def _collate(batches: Sequence[Any], *, collate_fn_map: Any = None) -> Any:
    if isinstance(batches, Items):
        return batches.batch
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
