"""Values on a regular grid that all signals share: images, sounds, fields, voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from inrzoo.observations import Comparison, Observation

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Grid(Observation):
    """Compares an INR with the values of its signal at the points of a grid.

    Attributes:
        measures: measures of quality beside loss and PSNR. `snr`, for signals around 0 such as sounds: 10·log10(Σ y² /
            Σ (f − y)²), dB, over the points that are not padding; an INR at or below 0 dB, which is no better than
            silence, has diverged. `rmse`: root of the mean squared error over the same points, in the unit of the
            signal's numbers.

    Example:
        >>> Grid(measures=("snr",)).measure_names
        ('snr',)
    """

    measures: tuple[Literal["snr", "rmse"], ...] = ()

    @property
    def measure_names(self) -> tuple[str, ...]:
        """See `Observation.measure_names`."""
        return self.measures

    def measure(self, fitted: Comparison, held_out: Comparison | None) -> dict[str, Tensor]:
        """See `Observation.measure`."""
        errors_BT = fitted.squared_errors
        measured = {}
        if "snr" in self.measures:
            # Padding is 0, so that it adds nothing to the energy.
            energy_B = fitted.targets_BKC.double().square().sum(dim=(1, 2))
            measured["snr"] = (10.0 * (energy_B[:, None] / errors_BT).log10()).float()
        if "rmse" in self.measures:
            measured["rmse"] = ((errors_BT.T / fitted.num_values).sqrt() * fitted.unit_B).T.float()
        return measured

    def tolerance(self, measure: str) -> tuple[float, float]:
        """See `Observation.tolerance`; decibels may be near 0."""
        return (2e-3, 0.05) if measure == "snr" else super().tolerance(measure)

    def failed(self, fitted: Comparison, measures: dict[str, Tensor]) -> Tensor | None:
        """See `Observation.failed`."""
        return ~(measures["snr"][:, -1] > 0) if "snr" in measures else None
