"""Observations: how an INR is compared with a signal, one file each. This file holds what all of them share.
Formulas: docs/derivations/measures.md#signal-to-noise-ratio and docs/derivations/measures.md#intersection-over-union.

Shape letters: B INRs, T snapshots, K points, D coordinate dimensions, C channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrzoo.lazy import lazy
from inrzoo.volume_rendering import Observer as Observer  # for other rooms

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

TOLERANCES = {"snr": (2e-3, 0.05), "held_out_psnr": (2e-3, 0.05), "iou": (0.0, 0.02)}
"""Relative and absolute tolerances of measures that want others than most: decibels may be near 0, and a point at the
surface of a shape may change sides."""


class ArraySpec(NamedTuple):
    """Shape and type of an array that each signal of a source has.

    Attributes:
        shape: shape for one signal.
        dtype: numpy's name of the type.
    """

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """The values of INRs beside those of their signals.

    Attributes:
        values_BTKC: the INRs', float32.
        targets_BKC: the signals', float32.
        value_range: ends of the range of values.
        unit_B: numbers of a signal in one unit of its values, float64: its limits over the width of the value range.
        zero_B: value that the number 0 becomes, float64.
        grid: sizes of the signals' grid.
        valid_BK: whether a point is the signal's own and no padding; None if all are.
    """

    values_BTKC: Tensor
    targets_BKC: Tensor
    value_range: tuple[float, float]
    unit_B: Tensor
    zero_B: Tensor
    grid: tuple[int, ...] = ()
    valid_BK: Tensor | None = None

    @property
    def squared_errors(self) -> Tensor:
        """Sum of squared errors over the signal's own points and its channels, (B, T), float64."""
        errors = (self.values_BTKC.double() - self.targets_BKC[:, None].double()).square().sum(dim=-1)
        return (errors if self.valid_BK is None else errors * self.valid_BK[:, None]).sum(dim=-1)

    @property
    def num_values(self) -> Tensor | int:
        """Number of values of the signal's own points, (B,) or the same for all."""
        points = self.targets_BKC.shape[1] if self.valid_BK is None else self.valid_BK.sum(dim=1)
        return points * self.targets_BKC.shape[2]


def intersection_over_union(ours: Tensor, theirs: Tensor) -> Tensor:
    """|ours ∩ theirs| / |ours ∪ theirs| over the last two axes, float64; 1 where both are empty.

    Example:
        >>> intersection_over_union(torch.tensor([[[True], [True]]]), torch.tensor([[[True], [False]]]))
        tensor([0.5000], dtype=torch.float64)
    """
    both, either = (ours & theirs).sum(dim=(-2, -1)), (ours | theirs).sum(dim=(-2, -1))
    return torch.where(either == 0, 1.0, both.double() / either)


@dataclass(frozen=True, kw_only=True)
class Observation(ABC):
    """How an INR is compared with a signal; its fields are its configuration.

    A subclass in `inrzoo/observations/<name>.py` says which arrays a signal has, where an INR is evaluated and how its
    values become a prediction, which measures of quality a store keeps beside loss and PSNR, and when a fit has failed.
    """

    arrays: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Names of the arrays that a signal has beside `signals`, each with the names of its dimensions."""
    extra_outputs: ClassVar[int] = 0
    """Outputs of an INR beyond the channels of its signal, such as a density."""

    on_grid: ClassVar[bool] = True
    """Whether the values of a signal lie on its grid; otherwise they are in no order, such as those at points."""

    @property
    def loss_name(self) -> str:
        """Name of the loss that fits minimise, one of `inrzoo.fit.losses`."""
        return "mse"

    @property
    def evaluations(self) -> int:
        """Number of evaluations of an INR for one prediction."""
        return 1

    def picture_sizes(self, grid: Sequence[int]) -> tuple[int, ...]:
        """The grid of a picture, of which a signal on `grid` has one; of posed views it has several."""
        return tuple(grid)

    def num_axes(self, grid: Sequence[int], declared: Mapping[str, ArraySpec]) -> int:
        """D, the coordinates of a point.

        Args:
            grid: sizes of the signals' grid.
            declared: shapes and types of `arrays`.
        """
        return len(grid)

    def expected(
        self, grid: Sequence[int], declared: Mapping[str, ArraySpec], channels: int
    ) -> dict[str, tuple[int, ...]]:
        """Shapes of `arrays`, given the parts of `declared` that this observation leaves open."""
        return {}

    def where(
        self, arrays: Mapping[str, NDArray[Any]], grid: Sequence[int], extent: float
    ) -> NDArray[np.float32] | None:
        """Coordinates of each signal, (B, K, D), or what `observer` takes instead; None for the grid that all share.

        Args:
            arrays: of B signals.
            extent: highest coordinate.
        """
        return None

    def held_out(
        self, arrays: Mapping[str, NDArray[Any]], grid: Sequence[int], extent: float
    ) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
        """Coordinates as `where` gives them, and numbers (B, M, C), that no fit sees; None if there are none."""
        return None

    def observer(self, *, extent: float, value_range: tuple[float, float]) -> Observer | None:
        """How the values of signals are predicted from INRs; None for the values of the INR at coordinates.

        Args:
            extent, value_range: of the manifest.
        """
        return None

    @property
    @abstractmethod
    def measure_names(self) -> tuple[str, ...]:
        """Names of the measures of quality that a store keeps beside loss and PSNR."""

    @abstractmethod
    def measure(self, fitted: Comparison, held_out: Comparison | None) -> dict[str, Tensor]:
        """Measure the quality of INRs.

        Args:
            fitted: on the points that INRs were fitted to.
            held_out: on points that no fit has seen, if signals have them.

        Returns:
            For each of `measure_names` its values, (B, T), float32.
        """

    def tolerance(self, measure: str) -> tuple[float, float]:
        """How far a measure may be from the recorded one on another machine: relative to that, and absolute."""
        return TOLERANCES.get(measure, (5e-3, 0.0))

    def failed(self, fitted: Comparison, measures: dict[str, Tensor]) -> Tensor | None:
        """Whether fits count as diverged although their loss has fallen, (B,); None if this observation has no rule."""
        return None
