"""PointNet reads the points nearest to the surface, in no order."""

import pytest
import torch

from inrzoo.encoders import point_layout
from inrzoo.encoders.point_net import PointNet
from inrzoo.errors import InrzooError

K = 40


def made(**arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PointNet(layout=point_layout(K, 3, 1), **{"num_points": 8, **arguments}).eval()


def points(batch=3):
    """Coordinates and distances, from 0 on: the nearest come last."""
    places = torch.randn(batch, K, 3, generator=torch.Generator().manual_seed(1))
    distances = torch.arange(K).flip(0)[None, :, None].expand(batch, -1, -1) / K
    return torch.cat([places, distances], dim=2)


def test_points_have_no_order():
    network, given = made(), points()
    order = torch.randperm(K, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(network(given[:, order].flatten(1)), network(given.flatten(1)))


@pytest.mark.parametrize(("level", "read"), [(0.0, range(K - 8, K)), (1.0, range(8)), (0.5, range(16, 25))])
def test_only_points_near_the_surface_are_read(level, read):
    network, given = made(level=level), points()
    features = network(given.flatten(1))
    for point in range(K):
        moved = given.clone()
        moved[:, point, :3] += 3
        same = torch.equal(network(moved.flatten(1)), features)
        assert same or point in read
    everywhere = given.clone()
    everywhere[:, list(read), :3] += 3
    assert not torch.allclose(network(everywhere.flatten(1)), features)


def test_training_draws_among_twice_as_many():
    network, given = made(dropout=0.0), points(1)
    seen = set()
    network.train()
    for seed in range(40):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            chosen = network._chosen(given[..., -1].abs())
        assert chosen.unique().numel() == 8
        seen |= set(chosen.flatten().tolist())
    assert seen == set(range(K - 16, K))
    assert network.eval()._chosen(given[..., -1].abs()).sort().values.tolist() == [[*range(K - 8, K)]]


def test_a_shape_alone_is_the_sum_of_its_layers():
    """Maximum over points, as plain loops compute it."""
    network, given = made(num_points=K), points(2)
    features = network(given.flatten(1))
    for row, shape in enumerate(given):
        hidden = network.points(shape.T[None])[0]
        largest = torch.stack([channel.max() for channel in hidden])
        torch.testing.assert_close(features[row], network.shape(largest[None])[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"num_points": 0}, "num_points = 0 .* from 1 to 40"),
        ({"num_points": 41}, "= 41"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_impossible_arguments_are_refused(arguments, said):
    with pytest.raises(InrzooError, match=said):
        made(**arguments)
