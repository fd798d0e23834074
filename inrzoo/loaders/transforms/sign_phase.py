"""Signs and phases of sine units, which keep the function.

Shape letters: P parameters of one INR.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.inrs import INR, MultiplicativeFilterNetwork
from inrzoo.inrs.siren import Siren
from inrzoo.loaders.transforms import Transform


@dataclass(frozen=True, kw_only=True)
class SignPhase(Transform):
    """Write sin(a) as −sin(−a) in half of the units, and add k π to phases, k from −`half_turns` to `half_turns`.

    The outgoing weights of a unit change sign with its sine, so the function stays the same
    (docs/derivations/symmetries.md#sine-neurons, docs/derivations/symmetries.md#filter-units). In a
    multiplicative filter network the incoming and outgoing linear weights of half of the units are negated too.
    `INR.canonicalise` undoes the transform.

    Attributes:
        inr: family of the weights, a SIREN or a multiplicative filter network.
        half_turns: maximum k; 0 changes signs only.
    """

    same_function: ClassVar[bool] = True

    inr: INR
    half_turns: int = 1

    def __post_init__(self) -> None:
        """Reject impossible fields.

        Raises:
            InrzooError: the count is negative, or the INR has no sines.
        """
        self.require("half_turns", self.half_turns >= 0, "at least 0")
        if not isinstance(self.inr, Siren | MultiplicativeFilterNetwork):
            raise InrzooError(
                f"{type(self.inr).__name__} has no sines: only a Siren, FourierNet or GaborNet has phases"
            )

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Return weights of the same functions. Shape (..., P) to (..., P)."""
        lead = weights.shape[:-1]

        def integers(low: int, high: int, size: int) -> Tensor:
            shape = (*lead, size)
            return torch.randint(low, high + 1, shape, generator=generator, device=generator.device).to(weights.device)

        axes = self.inr.layout.neuron_axes
        turns = {axis: integers(-self.half_turns, self.half_turns, size) for axis, size in axes.items()}
        signs = {axis: 2 * integers(0, 1, size) - 1 for axis, size in axes.items()}
        if isinstance(self.inr, Siren):
            return self.inr.flip_neurons(self.inr.shift_phases(weights, turns), signs)
        assert isinstance(self.inr, MultiplicativeFilterNetwork)
        factors = {axis: 2 * integers(0, 1, size) - 1 for axis, size in axes.items() if axis != "filter_0"}
        return self.inr.scale_linear(self.inr.flip_filters(self.inr.shift_phases(weights, turns), signs), factors)
