"""Learned initialisations: Tancik et al. 2021 (arXiv 2012.02189), by MAML (Finn et al. 2017), or by Reptile.
Formulas: docs/derivations/hypernetworks.md#learned-starts.

Shape letters: B batch of signals, P parameters of one INR, K coordinates, D in_features, C channels, I numbers that
are adapted.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from inrzoo.errors import InrzooError
from inrzoo.hypernets._adapted import AdaptedHypernet
from inrzoo.hypernets._contract import fresh_weights
from inrzoo.hypernets._rows import matrices
from inrzoo.inrs import INR

Algorithm = Literal["maml", "reptile"]
Adapt = Literal["all", "matrices", "hidden"]


class LearnedInit(AdaptedHypernet):
    """A start θ that a few gradient steps turn into the INR of a signal. θ begins as a fresh INR.

    The instance part are the offsets from θ of the adapted numbers, 0 at first.

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
        second_order: bool = True,
    ) -> None:
        """Build it; the defaults are those of Tancik et al. for images.

        Args:
            inr: any INR; theirs for images is a SIREN, 2/256/256/256/256/3.
            sizes: grid of the signals. Not needed here: a learned start fits signals of any number of coordinates.
            algorithm: how θ is learned: the gradient of the loss behind the steps, or Reptile's θ − φ.
            adapt: what the steps change: all numbers, matrices without biases (GINR-IPC's baseline), or everything but
                the output layer (MWT).
            inner_steps: S.
            inner_lr: α of every number and step.
            learned_rates: α is learned for every number and step instead (Meta-SGD) and begins as U(low, high).
            share_rates: one learned α for all steps, so that their number can be changed.
            inner_fraction: share of the coordinates that a step sees.
            second_order: whether training differentiates through the steps; Reptile never does.

        Raises:
            InrzooError: a number or a name that is not allowed, or Reptile with rates, which it cannot learn.
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
            second_order=second_order and algorithm == "maml",
        )
        self.algorithm = algorithm
        self.start = nn.Parameter(fresh_weights(inr))
        self.register_buffer("adapted", adapted_I, persistent=False)

    def start_instance(self) -> Tensor:
        """Zeros, (I,)."""
        return self.start.new_zeros(len(self.get_buffer("adapted")))

    def weights(self, instances: Tensor) -> Tensor:
        """θ plus the offsets, (B, I) to (B, P)."""
        if instances.shape[1] == len(self.start):
            return self.start + instances
        start_BP = self.start.expand(len(instances), -1)
        return start_BP.index_add(1, self.get_buffer("adapted"), instances.to(start_BP.dtype))

    def loss(self, coords: Tensor, values: Tensor, num_coords: int | None = None) -> Tensor:
        """What training minimises, (B,): see `Hypernet.loss`.

        Reptile in training mode: ½ ‖θ − φ‖² with φ, the weights behind the steps, taken as constant. The gradient of
        the mean over the batch is θ − mean φ, Reptile's; these numbers are no reconstruction errors, and `num_coords`
        has no meaning for them.
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
