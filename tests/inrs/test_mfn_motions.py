"""Multiplicative filter networks: moving the coordinates moves the function exactly.

See docs/derivations/augmentation.md#moving-the-signal.

Shape letters: B batch of INRs.
"""

import math

import numpy as np
import pytest
import torch

from inrzoo.errors import InrzooError
from inrzoo.inrs import MultiplicativeFilterNetwork
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.seeding import Stream

B = 20
CLASSES = [FourierNet, GaborNet]
BOTH = pytest.mark.parametrize("cls", CLASSES)


def make(cls: type, **fields) -> MultiplicativeFilterNetwork:
    return cls(**{"in_features": 2, "out_features": 3, "input_scale": 30.0, **fields})


def starts(net: MultiplicativeFilterNetwork, count: int = B) -> torch.Tensor:
    return torch.from_numpy(np.stack([net.init(Stream("init", "test", 0, str(i))) for i in range(count)]))


def points(net: MultiplicativeFilterNetwork, count: int = 1000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return (torch.rand(count, net.in_features, generator=generator) * 2 - 1).double()


def rotation(angle: float) -> torch.Tensor:
    return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


UNMOVED = torch.zeros(2)
SIMILARITIES = {
    "rotation": (rotation(0.7), UNMOVED),
    "translation": (torch.eye(2), torch.tensor([0.25, -0.4])),
    "scale up": (1.7 * torch.eye(2), UNMOVED),
    "scale down": (0.6 * torch.eye(2), UNMOVED),
    "flip": (torch.tensor([[-1.0, 0.0], [0.0, 1.0]]), UNMOVED),
    "all": (1.3 * rotation(-2.0) @ torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([-0.3, 0.1])),
}
OTHERS = {
    "shear": (torch.tensor([[1.0, 0.5], [0.0, 1.0]]), UNMOVED),
    "stretch": (torch.tensor([[1.4, 0.0], [0.0, 0.8]]), torch.tensor([0.2, 0.2])),
    "slight stretch": (torch.tensor([[1.0001, 0.0], [0.0, 1.0]]), UNMOVED),
}
CASES = [(cls, *motion) for cls in CLASSES for motion in SIMILARITIES.values()]
CASES += [(FourierNet, *motion) for motion in OTHERS.values()]
NAMES = [f"{cls.__name__} {name}" for cls in CLASSES for name in SIMILARITIES] + list(OTHERS)


def moved_back(coords: torch.Tensor, matrix: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """g⁻¹(x) of every row."""
    return torch.linalg.solve(matrix.double(), (coords.double() - shift.double()).T).T


@pytest.mark.parametrize("cls, matrix, shift", CASES, ids=NAMES)
def test_moved_weights_are_the_moved_signal(cls, matrix, shift):
    """|f_t(θ)(x) − f_θ(g⁻¹ x)| < 1e-4 in float32 on 1,000 random points, outside the old square too."""
    net = make(cls)
    weights, coords = starts(net), points(net)
    moved = net.transform_coords(weights, matrix, shift)
    assert moved.dtype == weights.dtype
    expected = net(weights.double(), moved_back(coords, matrix, shift))
    assert (net(moved, coords.float()) - expected).abs().max() < 1e-4
    in_full = net.transform_coords(weights.double(), matrix, shift)
    assert (net(in_full, coords) - expected).abs().max() < 1e-10


@BOTH
def test_motions_compose(cls):
    net = make(cls)
    weights = starts(net)
    (first, by), (second, then_by) = SIMILARITIES["all"], (0.8 * rotation(0.4), torch.tensor([0.5, 0.2]))
    stepwise = net.transform_coords(net.transform_coords(weights, first, by), second, then_by)
    at_once = net.transform_coords(weights, second @ first, second @ by + then_by)
    torch.testing.assert_close(stepwise, at_once, rtol=1e-5, atol=1e-4)


@BOTH
def test_a_motion_of_its_own_for_each_inr(cls):
    net = make(cls)
    weights = starts(net, 6)
    matrices = torch.stack([(0.5 + i) * rotation(i) for i in range(6)])
    shifts = torch.arange(12.0).reshape(6, 2) / 10
    each = zip(weights, matrices, shifts, strict=True)
    alone = torch.stack([net.transform_coords(*one) for one in each])
    torch.testing.assert_close(net.transform_coords(weights, matrices, shifts), alone)
    nested = net.transform_coords(weights.reshape(2, 3, -1), matrices.reshape(2, 3, 2, 2), shifts.reshape(2, 3, 2))
    torch.testing.assert_close(nested, alone.reshape(2, 3, -1))
    fans = net.transform_coords(weights[0], matrices, shifts[0])
    expected = torch.stack([net.transform_coords(weights[0], matrix, shifts[0]) for matrix in matrices])
    torch.testing.assert_close(fans, expected)


@pytest.mark.parametrize("in_features", [1, 3])
@BOTH
def test_motions_in_any_number_of_dimensions(cls, in_features):
    net = make(cls, in_features=in_features)
    matrix, _ = torch.linalg.qr(torch.randn(in_features, in_features, generator=torch.Generator().manual_seed(0)))
    matrix, shift = 1.2 * matrix, torch.linspace(-0.3, 0.4, in_features)
    weights, coords = starts(net), points(net)
    expected = net(weights.double(), moved_back(coords, matrix, shift))
    assert (net(net.transform_coords(weights, matrix, shift), coords.float()) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("name", OTHERS)
def test_a_gabor_net_is_not_closed_under_what_bends_circles(name):
    net = make(GaborNet)
    with pytest.raises(InrzooError, match=r"round: its coordinates can be rotated, flipped, shifted and scaled[^\n]*$"):
        net.transform_coords(starts(net), *OTHERS[name])
    matrices = torch.stack([torch.eye(2), OTHERS[name][0]])  # one of many is enough
    with pytest.raises(InrzooError, match="round"):
        net.transform_coords(starts(net, 2), matrices, torch.zeros(2))


@BOTH
def test_a_matrix_without_inverse_is_refused(cls):
    net = make(cls)
    with pytest.raises(InrzooError, match="invertible"):
        net.transform_coords(starts(net), torch.zeros(2, 2), torch.zeros(2))
