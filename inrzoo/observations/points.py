"""Values at points of each signal's own: distances and occupancies of shapes, scattered measurements."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.observations import ArraySpec, Comparison, Observation, intersection_over_union

if TYPE_CHECKING:
    from torch import Tensor

MEASURES = {
    "values": ("mae", "held_out_psnr"),
    "udf": ("mae",),
    "sdf": ("mae", "iou"),
    "occupancy": ("iou",),
}
"""Measures of quality of each quantity."""


@dataclass(frozen=True, kw_only=True)
class Points(Observation):
    """Compares an INR with the values of its signal at the signal's own points.

    All measures are of the held-out points, which no fit sees: a small error at the points of the fit does not make a
    good shape.

    Attributes:
        quantity: meaning of the values. `values`: any; measures `mae` and `held_out_psnr`. `udf`, `sdf`: unsigned or
            signed distance to a surface, negative inside; `mae`, and `iou` for `sdf`. `occupancy`: 1 inside and 0
            outside; `iou`. `mae` is the mean absolute error in the unit of the signal's numbers; `iou` the
            intersection over union of the inside.
        loss: `mse`, or `bce` for `occupancy`: the INR then gives the logit of an occupancy from 0 to 1.

    Example:
        >>> Points(quantity="sdf").measure_names
        ('mae', 'iou')
    """

    arrays: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "points": ("coord", "axis"),
        "held_out_points": ("held_out_coord", "axis"),
        "held_out_signals": ("held_out_coord", "channel"),
    }
    on_grid: ClassVar[bool] = False
    quantity: Literal["values", "udf", "sdf", "occupancy"] = "values"
    loss: Literal["mse", "bce"] = "mse"

    def __post_init__(self) -> None:
        """Reject a loss that does not go with the quantity."""
        if self.loss == "bce" and self.quantity != "occupancy":
            raise InrzooError(f'points.loss = "bce" is not allowed for {self.quantity}; it must be "mse"')

    @property
    def loss_name(self) -> str:
        """See `Observation.loss_name`."""
        return self.loss

    @property
    def measure_names(self) -> tuple[str, ...]:
        """See `Observation.measure_names`."""
        return MEASURES[self.quantity]

    def num_axes(self, grid: Sequence[int], declared: Mapping[str, ArraySpec]) -> int:
        """See `Observation.num_axes`."""
        return declared["points"].shape[-1]

    def expected(
        self, grid: Sequence[int], declared: Mapping[str, ArraySpec], channels: int
    ) -> dict[str, tuple[int, ...]]:
        """See `Observation.expected`."""
        num_axes, held_out = declared["points"].shape[-1], declared["held_out_points"].shape[0]
        return {
            "points": (math.prod(grid), num_axes),
            "held_out_points": (held_out, num_axes),
            "held_out_signals": (held_out, channels),
        }

    def where(
        self, arrays: Mapping[str, NDArray[Any]], grid: Sequence[int], extent: float
    ) -> NDArray[np.float32] | None:
        """See `Observation.where`."""
        return _placed(arrays["points"], extent)

    def held_out(
        self, arrays: Mapping[str, NDArray[Any]], grid: Sequence[int], extent: float
    ) -> tuple[NDArray[np.float32], NDArray[Any]] | None:
        """See `Observation.held_out`."""
        return _placed(arrays["held_out_points"], extent), arrays["held_out_signals"]

    def measure(self, fitted: Comparison, held_out: Comparison | None) -> dict[str, Tensor]:
        """See `Observation.measure`."""
        assert held_out is not None, "signals of this observation have held-out points"
        values_BTKC, targets_B1KC = held_out.values_BTKC.double(), held_out.targets_BKC[:, None].double()
        measured = {}
        if "mae" in self.measure_names:
            errors_BT = (values_BTKC - targets_B1KC).abs().mean(dim=(2, 3))
            measured["mae"] = errors_BT * held_out.unit_B[:, None]
        if "held_out_psnr" in self.measure_names:
            low, high = held_out.value_range
            mean_BT = held_out.squared_errors / held_out.targets_BKC[0].numel()
            measured["held_out_psnr"] = 10.0 * ((high - low) ** 2 / mean_BT).log10()
        if "iou" in self.measure_names:
            ours, theirs = self._inside(values_BTKC, held_out, True), self._inside(targets_B1KC, held_out, False)
            measured["iou"] = intersection_over_union(ours, theirs)
        return {name: measured[name].float() for name in self.measure_names}

    def failed(self, fitted: Comparison, measures: dict[str, Tensor]) -> Tensor | None:
        """See `Observation.failed`: a fit fails that is no better than the mean, or for `bce` finds no inside."""
        if self.loss == "bce":
            return ~(measures["iou"][:, -1] > 0)
        targets_BKC = fitted.targets_BKC.double()
        spread_B = (targets_BKC - targets_BKC.mean(dim=1, keepdim=True)).square().sum(dim=(1, 2))
        return ~(fitted.squared_errors[:, -1] < spread_B)

    def _inside(self, values: Tensor, held_out: Comparison, predicted: bool) -> Tensor:
        """Whether points are inside the shape, by values of INRs or of signals."""
        low, high = held_out.value_range
        if self.quantity == "sdf":
            return values < held_out.zero_B[:, None, None, None]
        return values > (0.0 if predicted and self.loss == "bce" else (low + high) / 2)


def _placed(points: NDArray[Any], extent: float) -> NDArray[np.float32]:
    """Coordinates of points in [-1, 1]^D on an extent."""
    return np.asarray(points, dtype=np.float32) * np.float32(extent)
