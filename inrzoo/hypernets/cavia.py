"""GINR-IPC by gradient steps: Alg. 1 of Kim et al. 2023 (arXiv 2211.13223), after CAVIA (Zintgraf et al. 2019).
Formulas: docs/derivations/hypernetworks.md#gradient-steps-on-patterns.

Shape letters: B batch of signals, P parameters of one INR, I numbers of the instance part.
"""

import torch
from torch import Tensor, nn

from inrzoo.hypernets.composer import Modulation, PatternComposer
from inrzoo.hypernets.gradient.gradient_based import GradientBasedHypernet
from inrzoo.hypernets.row_norms import RowNorm
from inrzoo.inrs import INR


class Cavia(GradientBasedHypernet):
    """A learned initialisation of one matrix's instance part, V, adapted to a signal; the rest of the INR is shared.

    V ← V − ε ‖V‖² ∇_V L, with the Frobenius norm of the signal's current V. Rows are normalised, so the INR does not
    depend on the scale of V and ∇_V L falls with it; the factor makes the step relative to V. CAVIA starts from zero;
    here the initialisation is learned and starts as N(0, 1).

    The instance part is V (and U with `modulation = "own_u"`).

    Attributes:
        start: the initial V, row by row, (I,).
    """

    def __init__(
        self,
        inr: INR,
        sizes: tuple[int, ...],
        *,
        rank: int = 256,
        layer: int = 2,
        modulation: Modulation = "shared_u",
        row_norm: RowNorm = "auto",
        inner_steps: int = 2,
        inner_lr: float = 0.01,
        learned_rates: tuple[float, float] | None = None,
        share_rates: bool = False,
        inner_fraction: float = 1.0,
        inner_coords: int | None = None,
        second_order: bool = True,
    ) -> None:
        """Build it; the defaults are the paper's.

        Args:
            inr: any INR.
            sizes: grid of the signals; not needed here.
            rank, layer, modulation, row_norm: as for `InstancePatterns`.
            inner_steps, inner_lr, learned_rates, share_rates, inner_fraction, inner_coords, second_order: as for
                `LearnedInit`; ε is the inner learning rate.

        Raises:
            InrzooError: a number or a name is not allowed.
        """
        composer = PatternComposer(inr, layer, rank, modulation, row_norm)
        super().__init__(
            inr,
            sizes,
            composer.num_instance_params,
            inner_steps=inner_steps,
            inner_lr=inner_lr,
            learned_rates=learned_rates,
            share_rates=share_rates,
            inner_fraction=inner_fraction,
            inner_coords=inner_coords,
            second_order=second_order,
        )
        self.composer = composer
        self.start = nn.Parameter(torch.randn(composer.num_instance_params))

    def start_instance(self) -> Tensor:
        """The initial V, (I,)."""
        return self.start

    def rate(self, instances_BI: Tensor, step: int) -> Tensor:
        """Learning rate ε ‖V‖² of each signal, (B, 1), or (B, I) with learned rates."""
        return super().rate(instances_BI, step) * instances_BI.square().sum(dim=1, keepdim=True)

    def weights(self, instances: Tensor) -> Tensor:
        """All weights from instance parts. Shape (B, I) to (B, P)."""
        weights_BP: Tensor = self.composer(instances)
        return weights_BP
