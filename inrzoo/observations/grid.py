"""Values on a regular grid that all signals share: images, sounds, fields, voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from inrzoo.observations import Comparison, Observation, intersection_over_union

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Grid(Observation):
    """Compares an INR with the values of its signal at the points of a grid.

    Attributes:
        measures: measures of quality beside loss and PSNR. `snr`, for signals around 0 such as sounds: 10·log10(Σ y² /
            Σ (f − y)²), dB, over the points that are not padding; an INR at or below 0 dB, which is no better than
            silence, has diverged. `rmse`: root of the mean squared error over the same points, in the unit of the
            signal's numbers. `iou`, for occupancies: intersection over union of the values above the middle of the
            range.

    Example:
        >>> Grid(measures=("snr",)).measure_names
        ('snr',)
    """

    measures: tuple[Literal["snr", "rmse", "iou"], ...] = ()

    @property
    def measure_names(self) -> tuple[str, ...]:
        """See `Observation.measure_names`."""
        return self.measures

    def measure(self, fitted: Comparison, held_out: Comparison | None) -> dict[str, Tensor]:
        """See `Observation.measure`."""
        measured = {}
        if "snr" in self.measures:
            # Padding is 0, so that it adds nothing to the energy.
            energy_B = fitted.targets_BKC.double().square().sum(dim=(1, 2))
            measured["snr"] = (10.0 * (energy_B[:, None] / fitted.squared_errors).log10()).float()
        if "rmse" in self.measures:
            measured["rmse"] = ((fitted.squared_errors.T / fitted.num_values).sqrt() * fitted.unit_B).T.float()
        if "iou" in self.measures:
            middle = sum(fitted.value_range) / 2
            measured["iou"] = intersection_over_union(
                fitted.values_BTKC > middle, (fitted.targets_BKC > middle)[:, None]
            ).float()
        return measured

    def failed(self, fitted: Comparison, measures: dict[str, Tensor]) -> Tensor | None:
        """See `Observation.failed`."""
        return ~(measures["snr"][:, -1] > 0) if "snr" in measures else None
