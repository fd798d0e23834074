"""INRs and random layouts that the tests of the encoders share, and weights for them."""

import torch
from torch import nn

from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren
from inrzoo.weights import WeightLayout

INRS = {
    "siren": Siren(in_features=2, out_features=1, hidden_features=7, hidden_layers=2),
    "siren_rgb": Siren(in_features=3, out_features=3, hidden_features=5, hidden_layers=1),
    "fourier_net": FourierNet(in_features=2, out_features=1, hidden_features=6),
    "gabor_net": GaborNet(in_features=2, out_features=3, hidden_features=5, num_filters=2),
    "relu_mlp": ReluMlp(
        in_features=2, out_features=1, hidden_features=6, hidden_layers=1, encoding="positional", num_frequencies=2
    ),
}

SIRENS = {
    "one hidden layer": Siren(in_features=2, out_features=1, hidden_features=6, hidden_layers=0),
    "three hidden layers": Siren(in_features=3, out_features=2, hidden_features=5, hidden_layers=2, omega_0=20.0),
    "bias outside": Siren(in_features=2, out_features=3, hidden_features=6, bias_inside=False),
    "mwt": Siren(in_features=2, out_features=1, hidden_features=6, convention="mwt"),
    "sound": Siren(in_features=1, out_features=1, hidden_features=6, omega_hidden=5.0),
}
"""Sine networks of several conventions, for encoders that read phases."""


def weights_of(layout: WeightLayout, count: int = 4, seed: int = 0) -> torch.Tensor:
    """Normal weights (count, P), float32."""
    return torch.randn(count, layout.num_params, generator=torch.Generator().manual_seed(seed))


def orders_of(layout: WeightLayout, seed: int = 0) -> dict[str, torch.Tensor]:
    """A random order of the neurons of every axis."""
    generator = torch.Generator().manual_seed(seed)
    return {axis: torch.randperm(size, generator=generator) for axis, size in layout.neuron_axes.items()}


def require_any_numbering(encoder: nn.Module, layout: WeightLayout, least: float) -> None:
    """Features are the same for every numbering of neurons, and differ between INRs by more than `least`."""
    weights = weights_of(layout).double()
    features = encoder(weights)
    torch.testing.assert_close(encoder(layout.permute(weights, orders_of(layout))), features)
    assert features.std(0).max() > least


def fitted_weights_of(inr: Siren, count: int = 4) -> torch.Tensor:
    """Weights (count, P), float64, of sensible sizes, as they were fitted."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, inr.layout.num_params, generator=generator, dtype=torch.float64) / 5
