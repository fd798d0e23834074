"""The measure of edits: how much nearer INRs with changed weights are to edited signals than the INRs were before.

Shape letters: N INRs of a split, P parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from inrzoo import registry
from inrzoo.loaders import WeightDataset
from inrzoo.operations import Operation
from inrzoo.tasks import Measurement
from inrzoo.tasks.edit import mean_of_each
from inrzoo.tasks.measurements import measured_removal
from inrzoo.tasks.signal_space import SignalSpace

INRS_AT_ONCE = 64
"""INRs that are evaluated and compared at once."""


class EditedSignals:
    """The edited signals of a split, and how far INRs are from them.

    Errors are mean squares over the grid, of values in [0, 1] that are not clipped, averaged over the fits of a signal.

    Args:
        dataset: the INRs of the split with their signals, not normalised.
        operation: the table of an operation on signals.

    Raises:
        InrzooError: there is no such operation, or the signals do not lie on a grid.
    """

    def __init__(self, dataset: WeightDataset, operation: Mapping[str, Any]) -> None:
        self._dataset, self._space = dataset, SignalSpace(dataset)
        self._operation: Operation = registry.make("operations", operation, sizes=self._space.grid)

    @cached_property
    def unchanged(self) -> Tensor:
        """Errors of the INRs as they were fitted: one for each signal."""
        return self._errors(None)

    def measure(self, weights: Tensor) -> Measurement:
        """Return the share of the error of unchanged weights that is gone, in percent.

        Unchanged weights have 0, INRs that say the edited signals 100; a change for the worse has less than 0.

        Args:
            weights: after the edit, (N, P), in the order of the dataset.
        """
        return measured_removal("error removed", self._errors(weights), self.unchanged)

    def mse(self, percent: float) -> float:
        """Return the mean squared error, of values in [0, 1], after a share of it was removed."""
        return (1 - percent / 100) * float(self.unchanged.double().mean())

    @torch.no_grad()
    def _errors(self, weights: Tensor | None) -> Tensor:
        errors, signal = [], []
        for rows in torch.arange(len(self._dataset)).split(INRS_AT_ONCE):
            batch = self._dataset[rows.numpy()]
            changed = batch.weights if weights is None else weights[rows]
            errors.append(self._space.squared_errors(changed, self._space.edited(batch, self._operation)))
            signal.append(batch.signal)
        return mean_of_each(torch.cat(errors), torch.cat(signal))
