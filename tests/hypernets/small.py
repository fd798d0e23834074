"""Small signals, INRs and hypernetworks for the tests of this folder."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn

from inrzoo import registry
from inrzoo.coords import grid
from inrzoo.hypernets import Hypernet
from inrzoo.inrs import INR

NAMES = registry.names("hypernets")

INRS = {
    "siren": {"name": "siren", "hidden_features": 6, "hidden_layers": 2},
    "fourier_net": {"name": "fourier_net", "hidden_features": 6},
    "gabor_net": {"name": "gabor_net", "hidden_features": 6},
    "relu_mlp": {
        "name": "relu_mlp",
        "hidden_features": 6,
        "hidden_layers": 2,
        "encoding": "log_spaced",
        "num_frequencies": 4,
        "sigma": 4.0,
    },
    "latent_siren": {"name": "latent_siren", "hidden_features": 6, "hidden_layers": 2, "latent_dim": 5, "omega_0": 4.0},
}
TRANSFORMER = {"patch": 3, "features": 8, "num_layers": 2, "num_heads": 2, "mlp_features": 16}
FIELDS = {
    "trans_inr": {**TRANSFORMER, "groups": 4},
    "instance_patterns": {**TRANSFORMER, "rank": 3},
    "learned_init": {},
    "cavia": {"rank": 3},
    "functa": {},
    "end_to_end": {
        "inner_steps": 2,
        "features": 8,
        "num_layers": 2,
        "head_features": 4,
        "inner_fraction": 0.5,
        "modulation_scale": 10.0,
    },
}
TARGETS = {"functa": "latent_siren"}
"""Hypernetwork -> the one INR that it makes; the others make any INR whose numbers are all its own."""
SIGNALS = {1: ((11,), 1), 2: ((7, 5), 3), 3: ((2, 3, 4), 4)}
"""Axes -> (grid, channels). Neither square nor a multiple of the patch."""


def make_inr(name: str = "relu_mlp", axes: int = 2, **fields) -> INR:
    return registry.make("inrs", {**INRS[name], **fields}, in_features=axes, out_features=SIGNALS[axes][1])


def target(name: str) -> str:
    """Name of an INR that a hypernetwork makes."""
    return TARGETS.get(name, "relu_mlp")


def make(name: str, inr: INR | None = None, **fields) -> Hypernet:
    """A hypernetwork in training mode, the same at every call."""
    inr = inr or make_inr(target(name))
    runtime = {"num_classes": 4} if name == "end_to_end" else {}
    torch.manual_seed(0)
    spec = {"name": name, **FIELDS[name], **fields}
    made = registry.make("hypernets", spec, inr=inr, sizes=SIGNALS[inr.in_features][0], **runtime)
    # A base starts without biases, as an odd function; these signals are odd too, and no shift would improve on it.
    return randomise_(made) if name == "functa" and inr.base is None else made


def signals(axes: int = 2, batch: int = 3, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Coordinates (K, D) and smooth values (B, K, C) in [-1, 1]."""
    sizes, channels = SIGNALS[axes]
    coords = torch.from_numpy(grid(sizes)).to(dtype)
    generator = torch.Generator().manual_seed(1)
    slopes = torch.randn(batch, axes, channels, generator=generator, dtype=dtype) * 2
    return coords, torch.sin(coords @ slopes)


def randomise_(hypernet: Hypernet) -> Hypernet:
    """Move everything that starts at a special place (zeros, ones) somewhere else."""
    with torch.no_grad():
        for parameter in hypernet.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return hypernet


def assert_gradients_are_finite_differences(
    parameters: Mapping[str, nn.Parameter], outer: Callable[[], Tensor], *, rel: float, abs_: float, least: float = -1.0
) -> None:
    """The gradient of `outer` by each parameter, along a random direction, is that of central differences in float64.

    Args:
        least: what the size of each difference must exceed, so that a gradient of nothing does not pass.
    """
    gradients = torch.autograd.grad(outer(), list(parameters.values()))
    generator = torch.Generator().manual_seed(2)
    for (key, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        sides = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter.add_(step * direction)
            sides.append(outer().item())
            with torch.no_grad():
                parameter.sub_(step * direction)
        expected = (sides[0] - sides[1]) / 2e-5
        assert abs(expected) > least, key
        assert (gradient * direction).sum().item() == pytest.approx(expected, rel=rel, abs=abs_), key
