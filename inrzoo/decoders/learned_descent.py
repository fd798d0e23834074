"""Edits by learned descent: a network says what should change where, and gradients carry it back to the weights.

Learning to optimise, Andrychowicz et al. 2016, "Learning to learn by gradient descent by gradient descent" (arXiv
1606.04474), with steps per tensor as in Meta-SGD (Li et al. 2017, arXiv 1707.09835), towards a goal that is itself
learned. Formulas: docs/derivations/decoders.md#learned-descent.

Shape letters: B INRs, P parameters of one INR, S steps, T tensors of an INR, K points of the grid,
C channels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from inrzoo.decoders import Decoder
from inrzoo.encoders import SYMMETRIES, Domain, Function
from inrzoo.errors import InrzooError
from inrzoo.weights import WeightLayout

INRS_AT_ONCE = 16
"""Number of INRs that are computed together on a CPU, where the activations of 16 fit a cache."""
FIRST_STEP = 3e-3
"""Initial size of a step in units of weights, for an error of 1 on the value scale."""
SPEED = 10.0
"""Optimisers move step sizes and momenta this many times as fast as the weights of the convolutions."""
SMALL = 1e-5
"""Errors and gradients below this count as none."""


class LearnedDescent(Decoder):
    """Convolutions read what the INR says on its grid and say what it should say; some learned steps lead there.

    The goal is the INR's picture and a correction by convolutions. Each step descends the mean squared distance of the
    INR's values to that goal. The gradient of a tensor is divided by its size, so that steps keep their length where
    gradients differ by orders of magnitude, and multiplied by the distance, so that they end at the goal. Step sizes,
    one for each step and tensor, and momenta are learned.

    It is equivariant under every symmetry that leaves the function as it is and moves weights by permutations, signs
    and shifts, since gradients move with the weights. It belongs to the decoders that read the function: what it says
    about an operation it would learn from pixels, too.

    Args:
        layout: layout of the weights.
        inr: the family that the weights are of.
        domain: where the functions were fitted, with their grid.
        num_steps: number of steps.
        hidden_features: channels of the convolutions.
        num_layers: number of convolutions.
        kernel_size: points of each convolution along an axis; odd.

    Raises:
        InrzooError: there is no grid of one to three axes, or an argument is out of range.
    """

    symmetries = SYMMETRIES
    reads = "function"
    coords: Tensor
    sizes_T: Tensor

    def __init__(
        self,
        *,
        layout: WeightLayout,
        inr: Function,
        domain: Domain,
        num_steps: int = 6,
        hidden_features: int = 16,
        num_layers: int = 4,
        kernel_size: int = 3,
    ) -> None:
        super().__init__(layout)
        self.require_counts(num_steps=num_steps, hidden_features=hidden_features)
        self.require("num_layers", num_layers, num_layers >= 2, "at least 2")
        self.require("kernel_size", kernel_size, kernel_size >= 1 and kernel_size % 2 == 1, "odd and at least 1")
        if domain.coords is None or not 1 <= len(domain.sizes) <= 3:
            raise InrzooError("learned_descent reads pictures: signals on a grid of one to three axes")
        self.inr, self.sizes = inr, domain.sizes
        self.register_buffer("coords", domain.coords.float(), persistent=False)
        self.register_buffer("sizes_T", torch.tensor([tensor.size for tensor in layout.tensors]), persistent=False)
        convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(domain.sizes) - 1]
        layers: list[nn.Module] = []
        for number in range(num_layers):
            channels = hidden_features if number else inr.out_features
            wider = hidden_features if number < num_layers - 1 else inr.out_features
            layers += [convolution(channels, wider, kernel_size, padding=kernel_size // 2), nn.GELU()]
        self.correction = nn.Sequential(*layers[:-1])
        self.log_steps = nn.Parameter(torch.full((num_steps, len(layout.tensors)), math.log(FIRST_STEP) / SPEED))
        self.momenta = nn.Parameter(torch.zeros(num_steps))

    def forward(self, weights: Tensor) -> Tensor:
        """See `Decoder.forward`. INRs are evaluated without autocast: phases need more digits than bfloat16 has."""
        with torch.autocast(weights.device.type, enabled=False):
            return self.in_parts(weights, INRS_AT_ONCE, self._change)

    def goal(self, weights: Tensor) -> Tensor:
        """Return what the INRs should say on the grid, (B, K, C), of weights (B, P)."""
        values_BKC = self.inr(weights, self.coords)
        picture = values_BKC.mT.unflatten(-1, self.sizes)
        goal: Tensor = values_BKC + self.correction(picture).flatten(2).mT
        return goal

    def _change(self, weights: Tensor) -> Tensor:
        learning = torch.is_grad_enabled()
        goal_BKC = self.goal(weights)
        change, velocity = torch.zeros_like(weights), torch.zeros_like(weights)
        steps_SP = (SPEED * self.log_steps).exp().repeat_interleave(self.sizes_T, dim=1)
        for step_P, momentum in zip(steps_SP, (SPEED * self.momenta).sigmoid(), strict=True):
            direction, distance_B = self._direction(weights + change, goal_BKC, learning)
            velocity = momentum * velocity + distance_B[:, None] * direction
            change = change - step_P * velocity
        return change

    def _direction(self, weights: Tensor, goal_BKC: Tensor, learning: bool) -> tuple[Tensor, Tensor]:
        """Return the gradient with the size of each tensor removed, (B, P), and the distance to the goal, (B,)."""
        with torch.enable_grad():
            moved = weights if weights.requires_grad else weights.detach().requires_grad_()
            mean_B = (self.inr(moved, self.coords) - goal_BKC).square().mean((1, 2))
            (gradient,) = torch.autograd.grad(mean_B.sum() / 2, moved, create_graph=learning)
        parts = {}
        for name, part in self.layout.split(gradient).items():
            squares = part.square()
            mean = squares.flatten(1).mean(1).reshape(-1, *[1] * (part.ndim - 1))
            # Numbers far above the rest of their tensor are cut towards its size, as Adam's division by √v does.
            parts[name] = part / (squares + mean / 4 + SMALL**2).sqrt()
        return self.layout.join(parts), (mean_B + SMALL**2).sqrt()
