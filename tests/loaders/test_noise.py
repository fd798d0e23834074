"""Noise and dropout: the distributions that they promise, independent in every entry and every INR.

A mean of n numbers of variance v has std √(v/n), the variance of n normal ones std √(2/n); all limits are 5 of those.
Shape letters: B INRs, P parameters of one INR.
"""

import math

import numpy as np
import pytest
import torch

from inrzoo.errors import InrzooError
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.siren import Siren
from inrzoo.loaders.transforms.dropout import Dropout
from inrzoo.loaders.transforms.noise import Noise
from inrzoo.seeding import Stream

SIREN = Siren(in_features=2, out_features=3, hidden_features=16)
FOURIER = FourierNet(in_features=2, out_features=3, hidden_features=8)
COUNT = 4000


def fresh(inr):
    """Weights (1, P) of one fresh INR, float64."""
    return torch.from_numpy(inr.init(Stream("init", "test", 0)))[None].double()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("inr", [SIREN, FOURIER], ids=["siren", "fourier_net"])
@pytest.mark.parametrize("std", [0.05, 0.5])
def test_noise_is_normal_and_relative_to_its_tensor(inr, std):
    weights_BP = fresh(inr).expand(COUNT, -1)
    noise = inr.layout.split(Noise(inr=inr, std=std)(weights_BP, seeded()) - weights_BP)
    for name, tensor in inr.layout.split(weights_BP[0].numpy()).items():
        normal = noise[name].flatten(1).numpy() / (std * tensor.std())
        size = normal.shape[1]
        assert abs(normal.mean()) < 5 / math.sqrt(normal.size), name
        assert abs(normal.var() - 1) < 5 * math.sqrt(2 / normal.size), name
        assert abs((normal**4).mean() - 3) < 5 * math.sqrt(96 / normal.size), name  # of the fourth moment: 105 − 9
        # Means of independent numbers scatter by 1/count, those of a number repeated by 1.
        assert abs(size * normal.mean(1).var() - 1) < 5 * math.sqrt(2 / COUNT), f"entries of {name} are coupled"
        assert abs(COUNT * (normal.mean(0) ** 2).mean() - 1) < 5 * math.sqrt(2 / size), f"INRs are coupled in {name}"


def test_tensors_have_noise_of_their_own():
    """Tensors of one size, every pair: a correlation of n independent pairs has std 1/√n."""
    weights_BP = fresh(FOURIER).expand(COUNT, -1)
    noise = FOURIER.layout.split(Noise(inr=FOURIER)(weights_BP, seeded()) - weights_BP)
    rows = np.stack([noise[f"{name}_{i}"][:, 0].flatten() for name in ("phi", "bias") for i in range(3)])
    assert np.abs(np.corrcoef(rows) - np.eye(6)).max() < 5 / math.sqrt(COUNT)


def test_noise_is_relative_to_its_own_inr():
    """An INR a thousand times larger in the same batch has a thousand times the noise; its neighbour feels nothing."""
    weights_P = fresh(SIREN)[0]
    alone_BP = Noise(inr=SIREN)(torch.stack([weights_P, weights_P]), seeded())
    mixed_BP = Noise(inr=SIREN)(torch.stack([weights_P, 1000 * weights_P]), seeded())
    assert torch.equal(mixed_BP[0], alone_BP[0])
    torch.testing.assert_close(mixed_BP[1], 1000 * alone_BP[1], rtol=1e-12, atol=1e-12)


def test_what_does_not_vary_gets_no_noise():
    """A tensor of one number (the bias of a single channel) and one of equal numbers have σ = 0."""
    inr = Siren(in_features=2, out_features=1, convention="dws")
    weights_BP = fresh(inr).expand(8, -1)
    noisy, before = (inr.layout.split(part) for part in (Noise(inr=inr)(weights_BP, seeded()), weights_BP))
    for name in noisy:
        assert torch.equal(noisy[name], before[name]) == (name in ("bias_0", "bias_1", "bias_2")), name


@pytest.mark.parametrize("p", [0.01, 0.5])
def test_dropout_keeps_the_mean_and_drops_as_often_as_asked(p):
    weights_BP = fresh(SIREN).expand(COUNT, -1)
    dropped_BP = Dropout(p=p)(weights_BP, seeded())
    gone = (dropped_BP == 0).numpy()
    torch.testing.assert_close(dropped_BP[~gone], weights_BP[~gone] / (1 - p), rtol=1e-15, atol=0)
    variance = p * (1 - p)
    assert abs(gone.mean() - p) < 5 * math.sqrt(variance / gone.size)
    shift_P = (dropped_BP.mean(0) / weights_BP[0] - 1).numpy()
    assert abs(shift_P.mean()) < 5 * math.sqrt(p / (1 - p) / gone.size)
    # Entry by entry and INR by INR: shares scatter by p (1 − p) / count; their variance itself by about √(2/n).
    for axis in (0, 1):
        scatter = gone.mean(axis).var() * gone.shape[axis] / variance
        assert abs(scatter - 1) < 5 * math.sqrt(2 / gone.shape[1 - axis]), "coupled"


@pytest.mark.parametrize("transform", [Noise(inr=SIREN, std=0.0), Dropout(p=0.0)])
def test_nothing_asked_changes_nothing(transform):
    weights_BP = fresh(SIREN).expand(4, -1)
    assert torch.equal(transform(weights_BP, seeded()), weights_BP)


@pytest.mark.parametrize("transform", [Noise(inr=SIREN), Dropout(p=0.5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leading_dimensions_dtype_and_input(transform, dtype):
    weights_BP = fresh(SIREN).to(dtype).repeat(6, 1)
    kept = weights_BP.clone()
    changed = transform(weights_BP, seeded())
    assert changed.dtype == dtype and changed.shape == weights_BP.shape
    assert torch.equal(transform(weights_BP.reshape(2, 3, -1), seeded()), changed.reshape(2, 3, -1))
    assert torch.equal(transform(weights_BP[0], seeded()), transform(weights_BP[:1], seeded())[0])
    assert torch.equal(weights_BP, kept)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Noise(inr=SIREN, std=-0.1), "std = -0.1 is not allowed; it must be at least 0"),
        (lambda: Noise(inr=SIREN, std=math.inf), "std = inf"),
        (lambda: Dropout(p=1.0), "p = 1.0 is not allowed; it must be at least 0 and below 1"),
        (lambda: Dropout(p=-0.5), "p = -0.5"),
    ],
)
def test_impossible_fields_are_refused(make, words):
    with pytest.raises(InrzooError, match=words):
        make()
