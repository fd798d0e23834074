"""Transforms that change weights and not the function, or the output alone: the function test, and draws.

Shape letters: B INRs, P parameters of one INR, K coordinates.
"""

import math

import pytest
import torch

from inrzoo.errors import InrzooError
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren
from inrzoo.loaders.transforms.intensity import Intensity
from inrzoo.loaders.transforms.permute_neurons import PermuteNeurons
from inrzoo.loaders.transforms.quantile_dropout import QuantileDropout
from inrzoo.loaders.transforms.sign_phase import SignPhase
from inrzoo.seeding import Stream

SINES = {
    "siren": Siren(in_features=2, out_features=3, hidden_features=8),
    "siren_outside": Siren(in_features=2, out_features=1, hidden_features=8, hidden_layers=2, bias_inside=False),
    "siren_dws": Siren(in_features=3, out_features=1, hidden_features=8, convention="dws", output_offset=0.5),
    "siren_mwt": Siren(in_features=2, out_features=3, hidden_features=8, omega_0=10.0, convention="mwt"),
    "fourier_net": FourierNet(in_features=2, out_features=3, hidden_features=8),
    "gabor_net": GaborNet(in_features=2, out_features=1, hidden_features=8),
}
ALL = SINES | {"relu_mlp": ReluMlp(in_features=2, out_features=1, hidden_features=8)}


def fresh(inr, count=5):
    return torch.stack([torch.from_numpy(inr.init(Stream("init", "test", i))) for i in range(count)]).double()


def coords(inr):
    return torch.rand(1000, inr.in_features, generator=seeded(), dtype=torch.float64) * 2 - 1


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ALL)
def test_permuted_neurons_are_the_same_function(name):
    inr = ALL[name]
    weights_BP, coords_KD = fresh(inr), coords(inr)
    permuted_BP = PermuteNeurons(inr=inr)(weights_BP, seeded())
    torch.testing.assert_close(inr(permuted_BP, coords_KD), inr(weights_BP, coords_KD), rtol=0, atol=1e-9)
    torch.testing.assert_close(permuted_BP.sort(-1).values, weights_BP.sort(-1).values, rtol=0, atol=0)
    assert (permuted_BP != weights_BP).any(-1).all()


def test_every_order_is_drawn_equally_often_and_layers_have_their_own():
    inr = Siren(in_features=1, out_features=1, hidden_features=3, hidden_layers=1)
    count = 12_000
    marks_P = torch.zeros(inr.layout.num_params)
    parts = inr.layout.split(marks_P)
    parts["bias_0"], parts["bias_1"] = torch.arange(3.0), torch.arange(3.0)
    permuted = PermuteNeurons(inr=inr)(inr.layout.join(parts).expand(count, -1), seeded())
    first, second = (inr.layout.split(permuted)[name] @ torch.tensor([9.0, 3.0, 1.0]) for name in ("bias_0", "bias_1"))
    pairs = torch.stack([first, second], -1).unique(dim=0, return_counts=True)[1]
    assert len(pairs) == 36 and (pairs - count / 36).abs().max() < 5 * math.sqrt(count / 36)


@pytest.mark.parametrize("name", SINES)
@pytest.mark.parametrize("half_turns", [0, 2])
def test_signs_and_phases_leave_the_function(name, half_turns):
    inr = SINES[name]
    weights_BP, coords_KD = fresh(inr), coords(inr)
    changed_BP = SignPhase(inr=inr, half_turns=half_turns)(weights_BP, seeded())
    torch.testing.assert_close(inr(changed_BP, coords_KD), inr(weights_BP, coords_KD), rtol=0, atol=1e-9)
    before, after = inr.layout.split(weights_BP), inr.layout.split(changed_BP)
    first = inr.layout.tensors[0].name  # of the first unit's row, negated in about half of the units
    negated = (after[first] == -before[first]).all(-1)
    assert 0.2 < negated.double().mean() < 0.8
    torch.testing.assert_close(after[first].abs(), before[first].abs(), rtol=0, atol=0)
    assert torch.allclose(inr.canonicalise(changed_BP), inr.canonicalise(weights_BP), atol=1e-6)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("name", ALL)
def test_intensity_is_a_linear_map_of_the_values(name, per_channel):
    """v' = a v + d with a and d of the INR's own, of each channel where asked for, found by least squares."""
    inr = ALL[name]
    weights_BP, coords_KD = fresh(inr), coords(inr)
    transform = Intensity(inr=inr, gain=0.4, offset=0.3, per_channel=per_channel)
    before, after = inr(weights_BP, coords_KD), inr(transform(weights_BP, seeded()), coords_KD)
    gains, offsets = torch.zeros(5, inr.out_features), torch.zeros(5, inr.out_features)
    for b in range(5):
        for c in range(inr.out_features):
            design = torch.stack([before[b, :, c], torch.ones(len(coords_KD))], -1)
            (a, d) = torch.linalg.lstsq(design, after[b, :, c]).solution
            torch.testing.assert_close(design @ torch.stack([a, d]), after[b, :, c], rtol=0, atol=1e-9)
            gains[b, c], offsets[b, c] = a, d
    assert ((gains - 1).abs() <= 0.4).all() and (offsets.abs() <= 0.3).all()
    assert gains[:, 0].std() > 0.05 and offsets[:, 0].std() > 0.03
    if inr.out_features > 1:
        assert bool((gains[:, :1] - gains).abs().max() > 1e-3) == per_channel


@pytest.mark.parametrize("name", ALL)
def test_contrast_alone_multiplies_values(name):
    """Also where the family adds a constant to its output (siren_dws)."""
    inr = ALL[name]
    weights_BP, coords_KD = fresh(inr), coords(inr)
    after = inr(Intensity(inr=inr, gain=0.4, offset=0.0)(weights_BP, seeded()), coords_KD)
    ratio = after / inr(weights_BP, coords_KD)
    torch.testing.assert_close(ratio, ratio[:, :1, :1].expand_as(ratio), rtol=1e-6, atol=0)
    assert ratio[:, 0, 0].std() > 0.05


@pytest.mark.parametrize("name", ALL)
def test_quantile_dropout_takes_the_smallest(name):
    inr = ALL[name]
    weights_BP = fresh(inr, 50)
    dropped = inr.layout.split(QuantileDropout(inr=inr, p=0.6)(weights_BP, seeded()))
    shares = []
    for tensor in inr.layout.tensors:
        before, after = inr.layout.split(weights_BP)[tensor.name].flatten(1), dropped[tensor.name].flatten(1)
        gone = (after == 0) & (before != 0)
        assert torch.equal(after[~gone], before[~gone])
        largest = torch.where(gone, before.abs(), 0.0).amax(1)
        smallest = torch.where(gone, math.inf, before.abs()).amin(1)
        assert (largest <= smallest).all()
        if before.abs().amin() > 0:
            shares.append(gone.sum(1) / tensor.size)
            assert ((shares[-1] - shares[0]).abs() <= 1 / tensor.size + 1 / inr.layout.tensors[0].size).all()
    assert shares[0].max() <= 0.6 and shares[0].std() > 0.1 and abs(shares[0].mean() - 0.3) < 0.1


@pytest.mark.parametrize(
    "transform",
    [
        PermuteNeurons(inr=SINES["siren"]),
        SignPhase(inr=SINES["siren"]),
        Intensity(inr=SINES["siren"]),
        QuantileDropout(inr=SINES["siren"], p=0.9),
    ],
    ids=lambda transform: type(transform).__name__,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leading_dimensions_dtype_and_input(transform, dtype):
    weights_BP = fresh(SINES["siren"], 6).to(dtype)
    kept = weights_BP.clone()
    changed = transform(weights_BP, seeded())
    assert changed.dtype == dtype and changed.shape == weights_BP.shape
    assert torch.equal(transform(weights_BP.reshape(2, 3, -1), seeded()), changed.reshape(2, 3, -1))
    assert torch.equal(transform(weights_BP[0], seeded()), transform(weights_BP[:1], seeded())[0])
    assert not torch.equal(transform(weights_BP, seeded(1)), changed)
    assert torch.equal(weights_BP, kept)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: SignPhase(inr=ALL["relu_mlp"]), "ReluMlp has no sines"),
        (lambda: SignPhase(inr=ALL["siren"], half_turns=-1), "half_turns = -1 is not allowed"),
        (lambda: Intensity(inr=ALL["siren"], gain=1.0), "gain = 1.0 is not allowed; it must be at least 0 and below 1"),
        (lambda: Intensity(inr=ALL["siren"], offset=-1.0), "offset = -1.0"),
        (lambda: QuantileDropout(inr=ALL["siren"], p=1.0), "p = 1.0"),
    ],
)
def test_impossible_fields_are_refused(make, words):
    with pytest.raises(InrzooError, match=words):
        make()
