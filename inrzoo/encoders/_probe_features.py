"""Probe features: what each neuron of an INR says at learned coordinates, for encoders of its graph.

Kofinas et al. 2024, "Graph neural networks for learning equivariant representations of neural networks" (arXiv
2403.12143), Sec. 3.1. Formulas: docs/derivations/encoders.md#probe-features.

Shape letters: B INRs, P parameters of one INR, K probes, D coordinate dimensions, N neurons of an axis, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inrzoo.encoders import Domain, Probed
from inrzoo.errors import InrzooError
from inrzoo.weights import WeightLayout


class ProbeFeatures(nn.Module):
    """Maps the K activations of each neuron to features: Linear and layer norm of its axis, then a Linear of all.

    Probes start at random in the cube [-extent, extent]^D, are learned in units of the extent, and are clamped to the
    cube: outside of it nobody fitted the INR.

    Args:
        layout: layout of the weights.
        inr: the family that the weights are of.
        domain: where the functions were fitted.
        num_probes: K.
        features: F.

    Raises:
        InrzooError: there is no INR, it is not that of the layout or has no formula, or K is negative.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, layout: WeightLayout, inr: Probed | None, domain: Domain | None, num_probes: int, features: int
    ) -> None:
        super().__init__()
        if num_probes < 0:
            raise InrzooError(f"num_probes = {num_probes} is not allowed; it must be at least 0")
        if inr is None or domain is None:
            raise InrzooError(f"num_probes = {num_probes} needs the INR and where it was fitted: inr and domain")
        if layout != inr.layout:
            raise InrzooError(f"num_probes = {num_probes} evaluates whole networks; some layers are missing")
        self.inr, self.domain = inr, domain
        self.probes = nn.Parameter(2 * torch.rand(num_probes, inr.in_features) - 1)
        # The family says here, not at the first step, if it has no formula.
        inr.activations(torch.zeros(1, layout.num_params), torch.zeros(1, inr.in_features))
        self.maps = nn.ModuleDict(
            {axis: nn.Sequential(nn.Linear(num_probes, features), nn.LayerNorm(features)) for axis in layout.axes}
        )
        self.out = nn.Linear(features, features)
        self.register_buffer("mean", torch.zeros(layout.num_params))
        self.register_buffer("std", torch.ones(layout.num_params))

    @property
    def coords(self) -> Tensor:
        """The coordinates of the probes, (K, D)."""
        return self.domain.extent * self.probes.clamp(-1, 1)

    def set_statistics(self, mean: Tensor, std: Tensor) -> None:
        """Take the mean and standard deviation by which weights are normalised, (P,) each; 0 and 1 until then."""
        self.mean.copy_(mean)
        self.std.copy_(std)

    def forward(self, weights: Tensor) -> dict[str, Tensor]:
        """Return the features of the neurons of each axis, (B, N, F), of normalised weights (B, P).

        INRs are evaluated without autocast: phases of a sine need more digits than bfloat16 has.
        """
        with torch.autocast(weights.device.type, enabled=False):
            said = self.inr.activations(weights * self.std + self.mean, self.coords)
        return {axis: self.out(self.maps[axis](values.mT)) for axis, values in said.items()}
