"""`torch.compile` of a whole step of a batch: products, backward pass and Adam in one graph.

Two ways to the gradient: written by hand for SIRENs, where that measured faster, and `torch.func.grad` for the rest.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features, H hidden.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from inrzoo.bench.methods import Run
from inrzoo.bench.workloads import Workload
from inrzoo.fit.compiled import system_compiler
from inrzoo.inrs import INR
from inrzoo.inrs.siren import Siren

Gradient = Callable[[Tensor, Tensor, Tensor], Tensor]
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def unavailable(workload: Workload) -> str | None:
    """Return why torch cannot compile here, in one line; None if it can."""
    return None if system_compiler() else "torch.compile needs a C++ compiler; none is on the path"


def by_hand(inr: Siren, weights_BP: Tensor, coords_BKD: Tensor, targets_BKC: Tensor) -> Tensor:
    """Gradient of every INR's mean squared error, shape (B, P): the chain rule for sin(ω W h + ω b)."""
    tensors, last = inr.layout.split(weights_BP), len(inr.omegas)
    hidden_BHK, cosines = [coords_BKD.transpose(1, 2)], []
    for i, (omega, bias_omega) in enumerate(zip(inr.omegas, inr.bias_omegas, strict=True)):
        bias_BH1 = bias_omega * tensors[f"bias_{i}"][:, :, None]
        phase_BHK = torch.baddbmm(bias_BH1, omega * tensors[f"weight_{i}"], hidden_BHK[-1])
        hidden_BHK.append(torch.sin(phase_BHK))
        cosines.append(torch.cos(phase_BHK))
    bias_BC1 = tensors[f"bias_{last}"][:, :, None] + inr.output_offset
    error_BCK = torch.baddbmm(bias_BC1, tensors[f"weight_{last}"], hidden_BHK[-1]) - targets_BKC.transpose(1, 2)
    delta = error_BCK * (2 / targets_BKC[0].numel())
    gradients: list[Tensor] = []
    for i in range(last, -1, -1):
        omega, bias_omega = (inr.omegas[i], inr.bias_omegas[i]) if i < last else (1.0, 1.0)
        weight_gradient = omega * torch.bmm(delta, hidden_BHK[i].transpose(1, 2))
        gradients = [weight_gradient.flatten(1), bias_omega * delta.sum(2), *gradients]
        if i:
            delta = torch.bmm((omega * tensors[f"weight_{i}"]).transpose(1, 2), delta) * cosines[i - 1]
    return torch.cat(gradients, dim=1)


def by_autograd(inr: INR, weights_BP: Tensor, coords_BKD: Tensor, targets_BKC: Tensor) -> Tensor:
    """The same from `torch.func.grad`, for any INR."""

    def loss(weights: Tensor) -> Tensor:
        return (inr.values(weights, coords_BKD) - targets_BKC).square().mean(dim=(1, 2)).sum()

    gradient: Tensor = torch.func.grad(loss)(weights_BP)
    return gradient


def compiled(workload: Workload, starts_BP: Tensor, targets_BKC: Tensor) -> Run:
    """One compiled graph a step; the step's number goes in as two tensors, so that nothing is compiled twice."""
    inr = workload.inr
    gradient: Gradient = partial(by_hand, inr) if isinstance(inr, Siren) else partial(by_autograd, inr)
    coords_BKD = workload.coords().expand(len(starts_BP), -1, -1)
    inr.layout.split(starts_BP)  # fills the layout's caches: numpy in there cannot be traced

    def step(
        weights_BP: Tensor, mean_BP: Tensor, square_BP: Tensor, rate: Tensor, correction: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        gradient_BP = gradient(weights_BP, coords_BKD, targets_BKC)
        mean_BP = BETA_1 * mean_BP + (1 - BETA_1) * gradient_BP
        square_BP = BETA_2 * square_BP + (1 - BETA_2) * gradient_BP.square()
        return weights_BP - rate * mean_BP / (square_BP.sqrt() * correction + EPSILON), mean_BP, square_BP

    fast = torch.compile(step, dynamic=False, fullgraph=True)

    def run(steps: int) -> Tensor:
        state = (starts_BP, torch.zeros_like(starts_BP), torch.zeros_like(starts_BP))
        for number in range(1, steps + 1):
            rate = torch.tensor(workload.lr / (1 - BETA_1**number))
            correction = torch.tensor((1 - BETA_2**number) ** -0.5)
            state = fast(*state, rate, correction)
        return state[0]

    return run
