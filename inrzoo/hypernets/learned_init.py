"""Learned initialisations: Tancik et al. 2021 (arXiv 2012.02189), by MAML (Finn et al. 2017), or by Reptile.
Formulas: docs/derivations/hypernetworks.md#learned-starts.

Shape letters: B batch of signals, P parameters of one INR, K coordinates, D in_features, C channels, I numbers that
are adapted.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.hypernets.contract import initial_weights
from inrzoo.hypernets.gradient.gradient_based import GradientBasedHypernet
from inrzoo.hypernets.row_norms import matrices
from inrzoo.inrs import INR

Algorithm = Literal["maml", "reptile"]
Adapt = Literal["all", "matrices", "hidden"]


class LearnedInit(GradientBasedHypernet):
    """A learned initialisation θ from which a few gradient steps fit the INR of a signal.

    θ starts as a newly initialised INR. The instance part is the offsets of the adapted numbers from θ, initially 0.

    Attributes:
        start: θ, (P,).
    """

    def __init__(
        self,
        inr: INR,
        sizes: tuple[int, ...],
        *,
        algorithm: Algorithm = "maml",
        adapt: Adapt = "all",
        inner_steps: int = 2,
        inner_lr: float = 0.01,
        learned_rates: tuple[float, float] | None = None,
        share_rates: bool = False,
        inner_fraction: float = 1.0,
        inner_coords: int | None = None,
        second_order: bool = True,
    ) -> None:
        """Build it; the defaults are those of Tancik et al. for images.

        Args:
            inr: any INR; theirs for images is a SIREN, 2/256/256/256/256/3.
            sizes: grid of the signals; not needed here, because signals may have any number of coordinates.
            algorithm: θ is learned by the gradient of the loss after the steps (`maml`), or by θ − φ (`reptile`).
            adapt: the steps change `all` numbers, `matrices` without biases (GINR-IPC's baseline), or all layers but
                the last (`hidden`, MWT).
            inner_steps: number of inner steps.
            inner_lr: learning rate α of every number and step.
            learned_rates: (low, high); α is learned for every number and step (Meta-SGD) and starts as U(low, high).
            share_rates: learn one α for all steps, so that their number can be changed.
            inner_fraction: share of the coordinates of an inner step.
            inner_coords: number of coordinates of an inner step, instead of a share; None for the share.
            second_order: whether training differentiates through the steps; Reptile never does.

        Raises:
            InrzooError: a number or a name is not allowed, or `reptile` is given rates, which it cannot learn.
        """
        for key, value, known in (("algorithm", algorithm, get_args(Algorithm)), ("adapt", adapt, get_args(Adapt))):
            if value not in known:
                raise InrzooError(f"{key} = {value!r} is not allowed; it must be one of {', '.join(known)}")
        if algorithm == "reptile" and learned_rates is not None:
            raise InrzooError("algorithm = 'reptile' has no gradient for learned_rates; use 'maml' with them")
        adapted_I = _adapted_numbers(inr, adapt)
        super().__init__(
            inr,
            sizes,
            len(adapted_I),
            inner_steps=inner_steps,
            inner_lr=inner_lr,
            learned_rates=learned_rates,
            share_rates=share_rates,
            inner_fraction=inner_fraction,
            inner_coords=inner_coords,
            second_order=second_order and algorithm == "maml",
        )
        self.algorithm = algorithm
        self.start = nn.Parameter(initial_weights(inr))
        self.register_buffer("adapted", adapted_I, persistent=False)

    def start_instance(self) -> Tensor:
        """No offsets, (I,)."""
        return self.start.new_zeros(len(self.get_buffer("adapted")))

    def weights(self, instances: Tensor) -> Tensor:
        """θ plus the offsets. Shape (B, I) to (B, P)."""
        if instances.shape[1] == len(self.start):
            return self.start + instances
        start_BP = self.start.expand(len(instances), -1)
        return start_BP.index_add(1, self.get_buffer("adapted"), instances.to(start_BP.dtype))

    def loss(self, coords: Tensor, values: Tensor, num_coords: int | None = None) -> Tensor:
        """The training loss, (B,); see `Hypernet.loss`.

        Reptile has in training mode ½ ‖θ − φ‖², where φ, the weights after the steps, is a constant. The gradient of
        the mean over the batch is Reptile's θ − mean φ. These numbers are no reconstruction errors, and `num_coords` is
        ignored.
        """
        if self.algorithm == "maml" or not self.training:
            return super().loss(coords, values, num_coords)
        weights_BP = self(coords, values).detach()
        half_distances_B: Tensor = 0.5 * (self.start - weights_BP).square().sum(dim=1)
        return half_distances_B


def _adapted_numbers(inr: INR, adapt: Adapt) -> Tensor:
    """Indices into the flat vector, (I,), int64."""
    chosen = {
        "all": {tensor.name for tensor in inr.layout.tensors},
        "matrices": {tensor.name for tensor in matrices(inr.layout)},
        "hidden": {tensor.name for tensor in inr.layout.tensors if tensor.axes[0] != "out"},
    }[adapt]
    parts = inr.layout.split(torch.arange(inr.layout.num_params))
    return torch.cat([part.flatten() for name, part in parts.items() if name in chosen])
