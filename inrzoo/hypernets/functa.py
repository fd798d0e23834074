"""functa's meta-learning: a base that a few steps on a latent fit to any signal. Dupont et al. 2022 (arXiv 2201.12204).

Formulas and differences: docs/derivations/latents.md#the-inner-loop.

Shape letters: B batch of signals, M numbers of a latent, Q numbers of the base.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.hypernets.gradient.gradient_based import GradientBasedHypernet
from inrzoo.inrs.latent_siren import LatentSiren
from inrzoo.seeding import Stream


@dataclass(kw_only=True, eq=False, repr=False)
class Functa(GradientBasedHypernet):
    """A base, and learned rates α (M,), by which steps from z = 0 fit the latent of a signal: z ← z − α ⊙ ∇_z L.

    The instance part is the latent, which is all that an INR stores. Base and rates are learned together through the
    steps. `inrzoo build --fitter` makes a store of latents with this base, `--base` fits latents by Adam. The defaults
    are the paper's.

    Attributes:
        inr: `latent_siren`. If it has a base, the training starts from that one.
        base: the numbers that all INRs share, (Q,), in the order of `LatentSiren.base_layout`.

    Raises:
        InrzooError: the INR has no latents, or a number is not allowed.
    """

    inner_steps: int = 3
    learned_rates: tuple[float, float] | None = (0.005, 0.1)
    share_rates: bool = True

    def __post_init__(self) -> None:
        """Draw the base and the rates."""
        super().__post_init__()
        inr = self.inr
        if not isinstance(inr, LatentSiren):
            raise InrzooError(
                f"functa learns a base for latents, and {type(inr).__name__} has none: pass --inr latent_siren"
            )
        seed = int(torch.randint(2**31, ()))
        start_Q = inr.init_base(Stream("init", "hypernets", seed)) if inr.base is None else inr.base_weights
        base = nn.Parameter(torch.tensor(start_Q))
        self.inr = inr.bound_to(base)
        self.make_rates(inr.layout.num_params)
        self.base = base

    def start_instance(self) -> Tensor:
        """z = 0, (M,)."""
        return self.base.new_zeros(self.inr.layout.num_params)

    def weights(self, instances: Tensor) -> Tensor:
        """The latents themselves, (B, M)."""
        return instances
