"""Volume rendering against cases worked out by hand, and the rays of views."""

import math

import numpy as np
import pytest
import torch

from inrzoo.errors import InrzooError
from inrzoo.observations.rays import Rays, rays_of
from inrzoo.volume_rendering import (
    POINTS_AT_ONCE,
    VolumeRenderer,
    box_interval,
    composite,
    expected_depth,
    sample_weights,
    transmittance,
)


def test_two_intervals_by_hand() -> None:
    """The first lets half of the light through, the second a quarter of that."""
    thickness = torch.tensor([math.log(2), math.log(4)], dtype=torch.float64)
    assert transmittance(thickness).tolist() == pytest.approx([1, 1 / 2])
    weights = sample_weights(thickness)
    assert weights.tolist() == pytest.approx([1 / 2, 1 / 2 * 3 / 4])
    colours = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert composite(weights, colours, 1.0).tolist() == pytest.approx([1 / 2 + 1 / 8, 3 / 8 + 1 / 8])
    assert expected_depth(weights, torch.tensor([1.0, 2.0])).item() == pytest.approx((1 / 2 + 2 * 3 / 8) / (7 / 8))


def test_opacity_depends_on_the_thickness_alone_however_it_is_cut() -> None:
    """A constant density of 1.5 over a length of 2: opacity 1 − exp(−3) for any number of intervals."""
    for count in (1, 2, 7, 64):
        weights = sample_weights(torch.full((count,), 1.5 * 2 / count, dtype=torch.float64))
        assert weights.sum().item() == pytest.approx(1 - math.exp(-3), rel=1e-12)


def test_an_opaque_interval_hides_what_is_behind_it_and_nothing_before_it() -> None:
    weights = sample_weights(torch.tensor([0.0, 1e4, 5.0]))
    assert weights.tolist() == [0.0, 1.0, 0.0]
    assert sample_weights(torch.zeros(3)).tolist() == [0.0] * 3
    assert composite(torch.zeros(2, 3), torch.rand(2, 3, 3), 0.25).tolist() == [[0.25] * 3] * 2


@pytest.mark.parametrize(
    ("origin", "direction", "near", "far"),
    [
        ((0, 0, 4), (0, 0, -1), 3.0, 5.0),
        ((0, 0, 0), (0, 0, -1), 0.0, 1.0),  # from inside
        ((0, 0, 4), (0, 0, 1), 0.0, 0.0),  # behind
        ((3, 0, 4), (0, 0, -1), 0.0, 0.0),  # beside, along an axis
        ((1, 0, 4), (0, 0, -1), 3.0, 5.0),  # along a face
        ((-2, -2, -2), (1 / 3**0.5,) * 3, 3**0.5, 3 * 3**0.5),  # along a diagonal
        ((-2, 0, 0), (1 / 2**0.5, 1 / 2**0.5, 0), 0.0, 0.0),  # touches an edge
    ],
)
def test_rays_enter_and_leave_the_cube(origin: tuple, direction: tuple, near: float, far: float) -> None:
    entered, left = box_interval(*torch.tensor([origin, direction], dtype=torch.float64))
    assert (entered.item(), left.item()) == pytest.approx((near, far), abs=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    thickness = torch.rand(2, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    colours = torch.rand(2, 5, 3, generator=generator, dtype=torch.float64, requires_grad=True)

    def seen(thickness: torch.Tensor, colours: torch.Tensor) -> torch.Tensor:
        return composite(sample_weights(thickness), colours, 1.0)

    assert torch.autograd.gradcheck(seen, (thickness, colours))
    assert torch.autograd.gradgradcheck(seen, (thickness, colours))


def test_rays_go_through_the_middles_of_pixels() -> None:
    """A camera at (0, 0, 4) that looks down −z; two rows, four columns; the upper left pixel is left and above."""
    pose = np.concatenate([np.eye(3), [[0], [0], [4]]], axis=1)
    rays = rays_of(pose[None, None], np.array([[2.0, 2.0, 2.0, 1.0]]), (2, 4))
    assert rays.shape == (1, 8, 6) and rays.dtype == np.float32 and (rays[0, :, :3] == (0, 0, 4)).all()
    expected = np.array([-1.5 / 2, 0.5 / 2, -1.0])
    np.testing.assert_allclose(rays[0, 0, 3:], expected / np.linalg.norm(expected), rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rays[..., 3:], axis=-1), 1, rtol=1e-6)
    turned = np.array([[0, 0, 1, 5], [0, 1, 0, 0], [-1, 0, 0, 0]], dtype=np.float64)  # looks along −x
    middle = rays_of(turned[None, None], np.array([[1.0, 1.0, 0.5, 0.5]]), (1, 1))
    np.testing.assert_allclose(middle[0, 0], [5, 0, 0, -1, 0, 0], atol=1e-7)


def _slab(weights: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Red and opaque where z < 0, empty elsewhere."""
    inside = (points[..., 2:] < 0).double()
    colour = torch.tensor([40.0, -40.0, -40.0], dtype=torch.float64)
    return torch.cat([colour.expand(*points.shape[:-1], 3), 1e5 * (2 * inside - 1)], dim=-1)


def test_a_camera_sees_the_surface_and_the_background_beside_it() -> None:
    pose = np.concatenate([np.eye(3), [[0], [0], [4]]], axis=1)
    rays = torch.from_numpy(rays_of(pose[None, None], np.array([[8.0, 8.0, 4.0, 4.0]]), (8, 8))).double()
    with torch.no_grad():
        seen = VolumeRenderer(samples=16)(_slab, torch.zeros(1, 1), rays).reshape(8, 8, 3)
    # At a distance of 4, where the slab begins, the middles of pixels are 0.25, 0.75, 1.25 and 1.75 from the axis.
    red, white = torch.tensor([1.0, 0.0, 0.0]).double(), torch.ones(3).double()
    torch.testing.assert_close(seen[4, 4], red)
    torch.testing.assert_close(seen[0, 0], white)
    assert (seen[2:6, 2:6, 1] < 1e-9).all() and (seen[[0, -1]][:, :, 1] == 1).all()


def test_rendering_in_parts_and_in_the_middle_of_intervals_changes_nothing() -> None:
    rays = torch.from_numpy(
        rays_of(
            np.concatenate([np.eye(3), [[0], [0], [3]]], axis=1)[None, None], np.array([[40.0, 40.0, 32, 32]]), (64, 64)
        )
    )
    assert 20 * rays.shape[1] > 2 * POINTS_AT_ONCE
    observed = VolumeRenderer(samples=20)

    def smooth(weights: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        return torch.cat([points.sin(), points.square().sum(dim=-1, keepdim=True)], dim=-1)

    whole = observed(smooth, torch.zeros(1, 1), rays)
    middle = observed(smooth, torch.zeros(1, 1), rays, torch.full(rays.shape[:2], 0.5))
    with torch.no_grad():
        parts = observed(smooth, torch.zeros(1, 1), rays)
    assert torch.equal(whole, middle) and torch.allclose(whole, parts, atol=1e-6)
    start = observed(smooth, torch.zeros(1, 1), rays, torch.zeros(rays.shape[:2]))
    assert not torch.allclose(whole, start, atol=1e-3)


def test_a_wider_extent_moves_the_inrs_coordinates_and_no_ray() -> None:
    """An INR on [-10, 10]^3 that is the other's with its coordinates divided by 10 is seen alike."""
    rays = torch.from_numpy(
        rays_of(np.concatenate([np.eye(3), [[0], [0], [3]]], axis=1)[None, None], np.array([[8.0, 8.0, 4, 4]]), (8, 8))
    ).double()

    def inr(weights: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        return torch.cat([points, 1 + points[..., :1]], dim=-1)

    narrow = VolumeRenderer(samples=32)(inr, torch.zeros(1, 1), rays)
    wide = VolumeRenderer(samples=32, extent=10.0)(lambda w, x: inr(w, x / 10), torch.zeros(1, 1), rays)
    torch.testing.assert_close(narrow, wide)


def test_impossible_settings_are_one_line() -> None:
    with pytest.raises(InrzooError, match=r"rays\.density_shift = nan is impossible; it must be finite"):
        Rays(density_shift=math.nan)
