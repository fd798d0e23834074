"""GaborNets that begin with a window on each part of the coordinates: what such a start is.

Shape letters: K coordinates, H units, D coordinate dimensions.
"""

import numpy as np
import pytest
import torch

from inrzoo.errors import InrzooError
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.seeding import Stream


def windowed(in_features=1, hidden=8, num_filters=2, **fields) -> GaborNet:
    sizes = {"in_features": in_features, "out_features": 2, "hidden_features": hidden, "num_filters": num_filters}
    return GaborNet(**sizes, filter_init="windows", **fields)


def start(net: GaborNet, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(net.init(Stream("init", "test", seed)).astype(np.float64))[None]


@pytest.mark.parametrize(
    "in_features, hidden, divisions, parts", [(1, 8, None, 8), (1, 8, 5, 5), (2, 30, None, 5), (3, 8, 2, 2)]
)
def test_each_part_has_a_window(in_features, hidden, divisions, parts):
    """The last filter is exp(-(B/E)² |x - μ|²/2) with μ at the centres of the parts, the first unit's at the lowest."""
    net = windowed(in_features, hidden, divisions=divisions, extent=3.0)
    tensors = net.layout.split(start(net))
    x_KD = torch.rand(50, in_features, dtype=torch.float64) * 6 - 3
    *_, last_BKH = net.filters(tensors, x_KD[None])
    centres_D = (np.indices((parts,) * in_features).reshape(in_features, -1).T + 0.5) * 6 / parts - 3
    mu_HD = torch.from_numpy(np.concatenate([centres_D] * hidden)[:hidden])
    expected_KH = torch.exp(-((parts / 3) ** 2) / 2 * (x_KD[:, None] - mu_HD).square().sum(-1))
    torch.testing.assert_close(last_BKH[0], expected_KH, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("in_features, hidden", [(1, 12), (2, 36)])
def test_windows_together_are_flat(in_features, hidden):
    """Their sum is (π/2)^(D/2) up to 1.5 % an axis, 2 exp(-π²/2) by Poisson's formula, a part from the border."""
    net = windowed(in_features, hidden)
    parts = round(hidden ** (1 / in_features))
    x_KD = (torch.rand(500, in_features, dtype=torch.float64) * 2 - 1) * (1 - 4 / parts)
    *_, last_BKH = net.filters(net.layout.split(start(net)), x_KD[None])
    flat = (np.pi / 2) ** (in_features / 2)
    assert float((last_BKH.sum(-1) / flat - 1).abs().max()) < in_features * 0.016


@pytest.mark.parametrize("in_features, num_filters, hidden", [(1, 2, 12), (2, 2, 49), (1, 3, 12)])
def test_what_a_start_is_in_one_part_it_is_in_all(in_features, num_filters, hidden):
    """A network moved by one part is itself, if every row moves to the next window: rows are alike."""
    net = windowed(in_features, hidden, num_filters)
    parts = round(hidden ** (1 / in_features))
    weights = start(net)
    inside_KD = (torch.rand(200, in_features, dtype=torch.float64) - 0.5) * (2 - 12 / parts)
    moved_KD = inside_KD + torch.eye(in_features, dtype=torch.float64)[0] * 2 / parts
    here, there = net(weights, inside_KD), net(weights, moved_KD)
    assert float(here.std()) > 0.01
    torch.testing.assert_close(here, there, rtol=1e-3, atol=2e-4)  # windows beyond the border are missing
    tensors = net.layout.split(weights)
    tensors[f"weight_{num_filters - 2}"] += torch.randn(hidden, hidden, dtype=torch.float64)
    changed = net.layout.join(tensors)
    assert float((net(changed, inside_KD) - net(changed, moved_KD)).abs().max()) > 0.1


def test_starts_differ():
    net = windowed(3)
    first, second = (net.layout.split(start(net, seed)) for seed in range(2))
    assert (first["weight_0"] != second["weight_0"]).all() and (first["bias_0"] != second["bias_0"]).all()
    assert all(float(each["weight_1"].abs().max() * 8**0.5) == pytest.approx(1) for each in (first, second))


def test_as_many_windows_as_units_and_no_more():
    with pytest.raises(InrzooError, match=r"^divisions = 4 is not allowed; it must be at most 3 with filter_init = 'w"):
        windowed(2, 15, divisions=4)
    with pytest.raises(InrzooError, match=r"^filter_init = 'windows' is not allowed; it must be one of 'fathony', 'ny"):
        FourierNet(in_features=1, out_features=1, filter_init="windows")
