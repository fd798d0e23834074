"""Signs and phases of sine neurons: other weights of the same function.

Shape letters: P parameters of one INR.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.inrs.mfn import MultiplicativeFilterNetwork
from inrzoo.inrs.siren import Siren
from inrzoo.loaders.transforms import Transform


@dataclass(frozen=True, kw_only=True)
class SignPhase(Transform):
    """Write sin(a) as −sin(−a) in half of the units, and add k π to phases, k from −`half_turns` to `half_turns`.

    What leaves a unit changes its sign where the sine does, so the function stays
    (docs/derivations/symmetries.md#sine-neurons, docs/derivations/symmetries.md#filter-units). In a
    multiplicative filter network the linear branch of half of the units is negated, in and out, as well.
    Undone by `INR.canonicalise`.

    Attributes:
        inr: the family that the weights are of; a SIREN or a multiplicative filter network.
        half_turns: maximum k; 0 changes signs alone.
    """

    same_function: ClassVar[bool] = True

    inr: INR
    half_turns: int = 1

    def __post_init__(self) -> None:
        """Reject an impossible count, and an INR without sines.

        Raises:
            InrzooError: the count is negative, or the INR has no sines.
        """
        self.require("half_turns", self.half_turns >= 0, "at least 0")
        if not isinstance(self.inr, Siren | MultiplicativeFilterNetwork):
            raise InrzooError(
                f"{type(self.inr).__name__} has no sines: only a Siren, FourierNet or GaborNet has phases"
            )

    def __call__(self, weights: Tensor, generator: torch.Generator) -> Tensor:
        """Weights of the same functions. Shape (..., P) to (..., P)."""
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
