"""Learned initialisations: Tancik et al. 2021 (arXiv 2012.02189), by MAML (Finn et al. 2017), or by Reptile.
Formulas: docs/derivations/hypernetworks.md#learned-starts.

Shape letters: B batch of signals, P parameters of one INR, K coordinates, D in_features, C channels, I numbers that
are adapted.
"""

from dataclasses import dataclass
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


@dataclass(kw_only=True, eq=False, repr=False)
class LearnedInit(GradientBasedHypernet):
    """A learned initialisation θ from which a few gradient steps fit the INR of a signal.

    θ starts as a newly initialised INR. The instance part is the offsets of the adapted numbers from θ, initially 0.
    The defaults are those of Tancik et al. for images.

    Attributes:
        inr: any INR; theirs for images is a SIREN, 2/256/256/256/256/3.
        sizes: grid of the signals; not needed here, because signals may have any number of coordinates.
        algorithm: θ is learned by the gradient of the loss after the steps (`maml`), or by θ − φ (`reptile`).
        adapt: the steps change `all` numbers, `matrices` without biases (GINR-IPC's baseline), or all layers but the
            last (`hidden`, MWT).
        start: θ, (P,).

    Raises:
        InrzooError: a number or a name is not allowed, or `reptile` is given rates, which it cannot learn.
    """

    algorithm: Algorithm = "maml"
    adapt: Adapt = "all"

    def __post_init__(self) -> None:
        """Draw the initialisation and the rates."""
        super().__post_init__()
        for key, known in (("algorithm", get_args(Algorithm)), ("adapt", get_args(Adapt))):
            if (value := getattr(self, key)) not in known:
                raise InrzooError(f"{key} = {value!r} is not allowed; it must be one of {', '.join(known)}")
        if self.algorithm == "reptile":
            if self.learned_rates is not None:
                raise InrzooError("algorithm = 'reptile' has no gradient for learned_rates; use 'maml' with them")
            self.second_order = False
        adapted_I = _adapted_numbers(self.inr, self.adapt)
        self.make_rates(len(adapted_I))
        self.start = nn.Parameter(initial_weights(self.inr))
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
