"""GINR-IPC by gradient steps: Alg. 1 of Kim et al. 2023 (arXiv 2211.13223), after CAVIA (Zintgraf et al. 2019).
Formulas: docs/derivations/hypernetworks.md#gradient-steps-on-patterns.

Shape letters: B batch of signals, P parameters of one INR, I numbers of the instance part.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from inrzoo.hypernets.composer import PatternHypernet
from inrzoo.hypernets.gradient.gradient_based import GradientBasedHypernet


@dataclass(kw_only=True, eq=False, repr=False)
class Cavia(GradientBasedHypernet, PatternHypernet):
    """A learned initialisation of one matrix's instance part, V, adapted to a signal; the rest of the INR is shared.

    V ← V − ε ‖V‖² ∇_V L, with the Frobenius norm of the signal's current V. Rows are normalised, so the INR does not
    depend on the scale of V and ∇_V L falls with it; the factor makes the step relative to V. CAVIA starts from zero;
    here the initialisation is learned and starts as N(0, 1). ε is `inner_lr`. The defaults are the paper's.

    Attributes:
        inr: any INR.
        start: the initial V, row by row, (I,).
    """

    def __post_init__(self) -> None:
        """Draw the composer, the rates and the initialisation."""
        super().__post_init__()
        self.composer = self.new_composer()
        self.make_rates(self.composer.num_instance_params)
        self.start = nn.Parameter(torch.randn(self.composer.num_instance_params))

    def start_instance(self) -> Tensor:
        """The initial V, (I,)."""
        return self.start

    def rate(self, instances_BI: Tensor, step: int) -> Tensor:
        """Learning rate ε ‖V‖² of each signal, (B, 1), or (B, I) with learned rates."""
        return super().rate(instances_BI, step) * instances_BI.square().sum(dim=1, keepdim=True)
