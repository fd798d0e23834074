"""INRs against the signals of their store, in the space of signals: values on the grid that they were fitted on.

Shape letters: B INRs, P parameters of one INR, K points of the grid, D coordinate dimensions, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from inrzoo.addresses import open_store
from inrzoo.errors import InrzooError
from inrzoo.loaders import WeightBatch, WeightDataset, load
from inrzoo.operations import Operation
from inrzoo.tasks.contract import Device

POINTS_AT_ONCE = 1024
"""Points at which a batch of INRs is evaluated at once where no gradient is needed, which bounds memory."""


def load_with_signals(path: str | Path, split: str, views: Sequence[int] | None = None) -> WeightDataset:
    """Return the INRs of a split as they were fitted, with their signals if the store holds them.

    Raises:
        InrzooError: there is no such store or split.
    """
    has_signals = open_store(path).has_signals
    return load(path, split=split, views=views, normalise="none", signals=has_signals)


class SignalSpace:
    """Evaluates INRs on the grid of their store, and measures their errors on values in [0, 1].

    Args:
        dataset: of INRs whose signals lie on a grid.
        device: of the tensors.

    Attributes:
        inr: the family of the INRs.
        grid: points along each axis, slowest axis first; their product is K.
        coords: (K, D).
        value_range: the values that the smallest and the largest possible value of a signal were mapped to.
        reference: `signals` if batches hold them, else `renderings`: what INRs themselves say on the grid.

    Raises:
        InrzooError: the signals have points or views of their own.

    Example:
        >>> from inrzoo.tasks.signal_space import SignalSpace, load_with_signals
        >>> dataset = load_with_signals("digits.zarr", "train")
        >>> space, batch = SignalSpace(dataset), dataset[[0, 5]]
        >>> space.signals(batch).shape, space.squared_errors(batch.weights, space.signals(batch)).shape
        (torch.Size([2, 64, 1]), torch.Size([2]))
    """

    def __init__(self, dataset: WeightDataset, device: Device = "cpu") -> None:
        store = dataset.stores[0]
        if store.info.arrays:
            raise InrzooError(f"the signals of {store.location} have points or views of their own; this needs a grid")
        self.inr, self.grid = dataset.inr, tuple(store.info.grid)
        self.coords = torch.from_numpy(store.coords()).to(device)
        self.value_range = store.value_range
        self.reference = "signals" if dataset.with_signals else "renderings"

    def signals(self, batch: WeightBatch) -> Tensor:
        """Return the signals of a batch on the value scale, (B, K, C): the store's, or what its INRs say."""
        return self.render(batch.weights) if batch.targets is None else batch.targets

    def edited(self, batch: WeightBatch, operation: Operation) -> Tensor:
        """Return the signals of a batch after an operation, on the value scale, (B, K, C)."""
        values = self.to_unit(self.signals(batch))
        pictures = values.reshape(len(values), *self.grid, -1).cpu().numpy()
        changed = torch.from_numpy(operation(pictures)).reshape(values.shape)
        return self.from_unit(changed.to(values))

    @torch.no_grad()
    def render(self, weights: Tensor) -> Tensor:
        """Return what INRs say on the grid, (B, K, C), without gradient."""
        return torch.cat([self.inr(weights, part) for part in self.coords.split(POINTS_AT_ONCE)], dim=1)

    def squared_errors(self, weights: Tensor, values: Tensor) -> Tensor:
        """Return the mean squared error of each INR against values (B, K, C), both in [0, 1]: (B,).

        Differentiable in the weights. What an INR says beyond [0, 1] is not clipped.
        """
        low, high = self.value_range
        errors: Tensor = (self.inr(weights, self.coords) - values).square().mean((1, 2)) / (high - low) ** 2
        return errors

    def to_unit(self, values: Tensor) -> Tensor:
        """Map the value scale to [0, 1]."""
        low, high = self.value_range
        return (values - low) / (high - low)

    def from_unit(self, values: Tensor) -> Tensor:
        """Inverse of `to_unit`."""
        low, high = self.value_range
        return low + (high - low) * values
