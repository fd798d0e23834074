"""How INRs are fitted without this package: the plain loop of published code, and `torch.func.vmap` over it.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, C out_features.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from inrzoo.bench.methods import Run
from inrzoo.bench.workloads import Workload
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.siren import Siren


class Sine(nn.Module):
    """sin(ω₀ x)."""

    def __init__(self, omega_0: float) -> None:
        super().__init__()
        self.omega_0 = omega_0

    def forward(self, x: Tensor) -> Tensor:
        """Entry by entry."""
        return torch.sin(self.omega_0 * x)


class PlainFourierNet(nn.Module):
    """z ← (W z + b) ⊙ sin(ω x + φ), as a module: a filter, the map behind it, the next filter, …"""

    def __init__(self, inr: FourierNet) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for i in range(inr.num_filters):
            behind = inr.out_features if i == inr.num_filters - 1 else inr.hidden_features
            self.layers.append(nn.Linear(inr.in_features, inr.hidden_features))
            self.layers.append(nn.Linear(inr.hidden_features, behind))

    def forward(self, coords_KD: Tensor) -> Tensor:
        """Values, shape (K, C)."""
        filters, maps = self.layers[::2], self.layers[1::2]
        z_KH = torch.sin(filters[0](coords_KD))
        for filter_, linear in zip(filters[1:], maps[:-1], strict=True):
            z_KH = linear(z_KH) * torch.sin(filter_(coords_KD))
        values_KC: Tensor = maps[-1](z_KH)
        return values_KC


def module(inr: INR) -> nn.Module:
    """One INR as published code writes it. Its parameters are in the order of the layout.

    Raises:
        InrzooError: an INR that is no `Siren` with ω₀ in every layer, nor a `FourierNet`.
    """
    if isinstance(inr, FourierNet):
        return PlainFourierNet(inr)
    if not isinstance(inr, Siren) or set(inr.omegas + inr.bias_omegas) != {inr.omega_0} or inr.output_offset:
        raise InrzooError(f"the plain loop is written for Siren and FourierNet, not for {inr}")
    sizes = [inr.in_features, *[inr.hidden_features] * len(inr.omegas)]
    layers: list[nn.Module] = []
    for before, behind in pairwise(sizes):
        layers += [nn.Linear(before, behind), Sine(inr.omega_0)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], inr.out_features))


def module_at(inr: INR, start_P: Tensor) -> nn.Module:
    """`module` with these parameters."""
    model = module(inr)
    for parameter, tensor in zip(model.parameters(), inr.layout.split(start_P).values(), strict=True):
        parameter.data.copy_(tensor)
    return model


def one_by_one(workload: Workload, starts_BP: Tensor, targets_BKC: Tensor) -> Run:
    """The loop of published code: a module and an optimiser for each INR, one INR after the other."""
    coords = workload.coords()

    def fit(start_P: Tensor, target_KC: Tensor, steps: int) -> Tensor:
        model = module_at(workload.inr, start_P)
        adam = torch.optim.Adam(model.parameters(), lr=workload.lr)
        for _ in range(steps):
            adam.zero_grad()
            loss = nn.functional.mse_loss(model(coords), target_KC)
            loss.backward()
            adam.step()
        return nn.utils.parameters_to_vector(model.parameters()).detach()

    return lambda steps: torch.stack(
        [fit(start, target, steps) for start, target in zip(starts_BP, targets_BKC, strict=True)]
    )


def vmapped(workload: Workload, starts_BP: Tensor, targets_BKC: Tensor) -> Run:
    """`torch.func.vmap` of the plain module's gradient over stacked parameters, and one fused Adam for all."""
    coords, model = workload.coords(), module(workload.inr)
    names = [name for name, _ in model.named_parameters()]

    def loss(parameters: dict[str, Tensor], target_KC: Tensor) -> Tensor:
        return nn.functional.mse_loss(torch.func.functional_call(model, parameters, (coords,)), target_KC)

    gradients = torch.func.vmap(torch.func.grad(loss))

    def run(steps: int) -> Tensor:
        tensors = workload.inr.layout.split(starts_BP).values()
        stacked = {name: tensor.clone().requires_grad_() for name, tensor in zip(names, tensors, strict=True)}
        adam = torch.optim.Adam(stacked.values(), lr=workload.lr, fused=True)
        for _ in range(steps):
            detached = {name: tensor.detach() for name, tensor in stacked.items()}
            for name, gradient in gradients(detached, targets_BKC).items():
                stacked[name].grad = gradient
            adam.step()
        return torch.cat([tensor.detach().flatten(1) for tensor in stacked.values()], dim=1)

    return run
