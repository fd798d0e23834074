"""Values on a grid, measured by the worst of them.

Shape letters: B INRs, T snapshots.
"""

from dataclasses import dataclass

from torch import Tensor

from inrzoo.observations import Comparison, Observation


@dataclass(frozen=True, kw_only=True)
class WorstPoint(Observation):
    """Keeps the largest absolute error of each INR, in the unit of the signal's numbers.

    Attributes:
        tolerable: error from which on a fit has failed; 0 for none.
    """

    tolerable: float = 0.0

    @property
    def measure_names(self) -> tuple[str, ...]:
        """See `Observation.measure_names`."""
        return ("worst",)

    def measure(self, fitted: Comparison, held_out: Comparison | None) -> dict[str, Tensor]:
        """See `Observation.measure`."""
        errors_BTKC = (fitted.values_BTKC - fitted.targets_BKC[:, None]).abs()
        return {"worst": (errors_BTKC.amax(dim=(2, 3)) * fitted.unit_B[:, None]).float()}

    def failed(self, fitted: Comparison, measures: dict[str, Tensor]) -> Tensor | None:
        """See `Observation.failed`."""
        return measures["worst"][:, -1] > self.tolerable if self.tolerable else None
