"""Motions of the coordinates: the weights that come out are those of the moved function, for every family and range.

Shape letters: B INRs, P parameters of one INR, K coordinates, D coordinate dimensions.
"""

import math

import numpy as np
import pytest
import torch

from inrzoo.coords import grid
from inrzoo.errors import InrzooError
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren
from inrzoo.loaders.transforms import Compose
from inrzoo.loaders.transforms.flip import Flip
from inrzoo.loaders.transforms.rotate import Rotate, rotation, rotation_about
from inrzoo.loaders.transforms.scale import Scale
from inrzoo.loaders.transforms.shear import Shear
from inrzoo.loaders.transforms.translate import Translate
from inrzoo.seeding import Stream

PLANE = {"in_features": 2, "out_features": 1}
SIREN = Siren(**PLANE)
GABOR = GaborNet(**PLANE, input_scale=20.0)
INRS = {
    "siren_bias_inside": SIREN,
    "siren_bias_outside": Siren(**PLANE, bias_inside=False),
    "fourier_net": FourierNet(**PLANE, input_scale=20.0),
    "gabor_net": GABOR,
    "relu_mlp": ReluMlp(**PLANE),
}
MOTIONS = [Rotate, Translate, Scale, Flip, Shear]
PAIRS = [
    pytest.param(motion(inr=inr), id=f"{motion.__name__}-{name}")
    for name, inr in INRS.items()
    for motion in MOTIONS
    if (name, motion) != ("gabor_net", Shear)
]


def fresh(inr, count=8):
    """Weights (B, P) of fresh INRs, float32."""
    return torch.from_numpy(np.stack([inr.init(Stream("init", "test", 0, str(i))) for i in range(count)]))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(motion, count=8, generator=None):
    """A (B, D, D) and t (B, D) of the draws that the call with `seeded()` makes, as numpy float64."""
    return [part.numpy() for part in motion.draw(count, generator or seeded())]


def before(x_BKD, matrix_BDD, shift_BD):
    """g⁻¹(x) = A⁻¹ (x − t), numpy float64."""
    return np.einsum("bij,bkj->bki", np.linalg.inv(matrix_BDD), x_BKD - shift_BD[:, None])


def random_coords(inr, count=1000):
    return np.random.default_rng(1).uniform(-1, 1, (8, count, inr.in_features))


@pytest.mark.parametrize("motion", PAIRS)
def test_moves_the_function(motion):
    """In float32: docs/derivations/augmentation.md#moving-the-signal."""
    weights, x_BKD = fresh(motion.inr), random_coords(motion.inr)
    moved = motion.inr(motion(weights, seeded()), torch.from_numpy(x_BKD).float())
    expected = motion.inr(weights, torch.from_numpy(before(x_BKD, *drawn(motion))).float())
    assert (moved - expected).abs().max() < 1e-4
    still = motion.inr(weights, torch.from_numpy(x_BKD).float())
    assert (moved - still).abs().max() > 0.01


@pytest.mark.parametrize("motion", PAIRS)
def test_agrees_with_the_formulas_in_numpy(motion):
    """One INR after the other, column vectors, float64: docs/derivations/augmentation.md#moving-the-signal."""
    inr, weights = motion.inr, fresh(motion.inr).double()
    matrices, shifts = drawn(motion)
    expected = []
    for flat, matrix, shift in zip(weights.numpy(), matrices, shifts, strict=True):
        part = {name: tensor.copy() for name, tensor in inr.layout.split(flat).items()}
        inverse = np.linalg.inv(matrix)
        if isinstance(inr, Siren | ReluMlp):
            part["weight_0"] = part["weight_0"] @ inverse
            factor = inr.omega_0 if isinstance(inr, Siren) and not inr.bias_inside else 1.0
            part["bias_0"] -= factor * part["weight_0"] @ shift
        else:
            for i in range(inr.num_filters):
                part[f"omega_{i}"] = part[f"omega_{i}"] @ inverse
                part[f"phi_{i}"] -= part[f"omega_{i}"] @ shift
                if isinstance(inr, GaborNet):
                    part[f"mu_{i}"] = np.stack([matrix @ mu + shift for mu in part[f"mu_{i}"]])
                    part[f"gamma_{i}"] /= abs(np.linalg.det(matrix))  # s² in two dimensions
        expected.append(inr.layout.join(part))
    np.testing.assert_allclose(motion(weights, seeded()).numpy(), np.stack(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("motion", PAIRS)
def test_is_undone_by_its_inverse(motion):
    weights = fresh(motion.inr).double()
    matrix, shift = motion.draw(8, seeded())
    back = torch.linalg.inv(matrix)
    undone = motion.inr.transform_coords(motion(weights, seeded()), back, -(back @ shift[..., None])[..., 0])
    torch.testing.assert_close(undone, weights, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("inr", [SIREN, INRS["fourier_net"], GABOR], ids=["siren", "fourier_net", "gabor_net"])
def test_compose_applies_the_first_first(inr):
    motions = [Rotate(inr=inr), Translate(inr=inr), Scale(inr=inr)]
    weights, x_BKD = fresh(inr), random_coords(inr)
    moved = inr(Compose(tuple(motions))(weights, seeded()), torch.from_numpy(x_BKD).float())
    generator = seeded()
    draws = [drawn(motion, generator=generator) for motion in motions]

    def backwards(order):
        y_BKD = x_BKD
        for matrix, shift in order:
            y_BKD = before(y_BKD, matrix, shift)
        return inr(weights, torch.from_numpy(y_BKD).float())

    assert (moved - backwards(draws[::-1])).abs().max() < 1e-4  # f(g₁⁻¹(g₂⁻¹(g₃⁻¹(x))))
    assert (moved - backwards(draws)).abs().max() > 0.01


def test_nothing_composed_changes_nothing():
    weights = fresh(SIREN)
    assert torch.equal(Compose(())(weights, seeded()), weights)


@pytest.mark.parametrize("motion", [Translate, Scale, Flip])
@pytest.mark.parametrize("in_features", [1, 3])
def test_moves_sounds_and_volumes(motion, in_features):
    inr = Siren(in_features=in_features, out_features=2)
    move, weights, x_BKD = motion(inr=inr), fresh(inr).double(), random_coords(inr)
    expected = inr(weights, torch.from_numpy(before(x_BKD, *drawn(move))))
    moved = inr(move(weights, seeded()), torch.from_numpy(x_BKD))
    torch.testing.assert_close(moved, expected, rtol=1e-9, atol=1e-9)


def test_rotation_agrees_with_numpy():
    angles = np.random.default_rng(0).uniform(-4, 4, (5, 3))
    expected = [[[[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]] for a in row] for row in angles]
    np.testing.assert_allclose(rotation(torch.from_numpy(angles)), expected, rtol=1e-15, atol=1e-15)


def spot(row, col, axis_order):
    """A GaborNet of one unit: a bright spot at that place of the screen, rows downwards."""
    inr = GaborNet(**PLANE, num_filters=1, hidden_features=1)
    place = [row, col] if axis_order == "row_col" else [col, row]
    return inr, torch.tensor([[0.0, 0.0, math.pi / 2, *place, 30.0, 1.0, 0.0]])  # ω, φ, μ, γ, W, b


def brightest(inr, weights, axis_order):
    """(row, col) in [-1, 1] of the brightest pixel of 9 x 9."""
    picture = inr(weights[0], torch.from_numpy(grid((9, 9), axis_order=axis_order))).reshape(9, 9)
    row, col = divmod(int(picture.argmax()), 9)
    return row / 4 - 1, col / 4 - 1


@pytest.mark.parametrize("axis_order, goes_to", [("row_col", (-0.5, 0.0)), ("x_y", (0.5, 0.0))])
def test_sense_of_rotation_on_the_screen(axis_order, goes_to):
    """+90° takes the right to the top, counter-clockwise, in (row, col) and to the bottom, clockwise, in (x, y)."""
    inr, weights = spot(0.0, 0.5, axis_order)
    turned = inr.transform_coords(weights, rotation(torch.tensor(math.pi / 2)), torch.zeros(2))
    assert brightest(inr, turned, axis_order) == goes_to


def test_flip_mirrors_left_to_right_by_default():
    inr, weights = spot(0.25, 0.5, "row_col")
    assert brightest(inr, Flip(inr=inr, probability=1.0)(weights, seeded()), "row_col") == (0.25, -0.5)
    assert brightest(inr, Flip(inr=inr, axis=0, probability=1.0)(weights, seeded()), "row_col") == (-0.25, 0.5)
    assert torch.equal(Flip(inr=inr, probability=0.0)(weights, seeded()), weights)


def test_scale_enlarges_the_content():
    inr, weights = spot(-0.25, 0.5, "row_col")
    assert brightest(inr, Scale(inr=inr, low=2.0, high=2.0)(weights, seeded()), "row_col") == (-0.5, 1.0)


def test_shear_slides_rows_by_default():
    """The (row, col) picture: columns move by k · row, rows stay."""
    matrix_BDD, _ = drawn(Shear(inr=SIREN))
    assert (matrix_BDD[:, 1, 0] != 0).all()
    assert (matrix_BDD[:, 0] == [1, 0]).all() and (matrix_BDD[:, 1, 1] == 1).all()
    other_BDD, _ = drawn(Shear(inr=SIREN, axis=0))
    np.testing.assert_array_equal(other_BDD, matrix_BDD.transpose(0, 2, 1))


RANGES = [
    (Rotate(inr=SIREN), lambda a, t: np.degrees(np.arctan2(a[:, 1, 0], a[:, 0, 0])), -45, 45),
    (Rotate(inr=SIREN, degrees=180), lambda a, t: np.degrees(np.arctan2(a[:, 1, 0], a[:, 0, 0])), -180, 180),
    (Translate(inr=SIREN), lambda a, t: t[:, 0], -0.25, 0.25),
    (Translate(inr=SIREN, distance=0.125), lambda a, t: t[:, 1], -0.125, 0.125),
    (Scale(inr=SIREN), lambda a, t: a[:, 0, 0], 0.8, 1.2),
    (Scale(inr=SIREN, low=0.5, high=4.0), lambda a, t: a[:, 1, 1], 0.5, 4.0),
    (Shear(inr=SIREN), lambda a, t: a[:, 1, 0], -0.2, 0.2),
]


@pytest.mark.parametrize("motion, number, low, high", RANGES)
def test_draws_are_uniform_in_their_range(motion, number, low, high):
    """Kolmogorov & Smirnov: √n sup|F_n − F| is above 2.2 once in 8,000 cases."""
    matrix_BDD, shift_BD = drawn(motion, 20_000)
    unit = np.sort((number(matrix_BDD, shift_BD) - low) / (high - low))
    assert unit[0] >= -1e-12 and unit[-1] <= 1 + 1e-12
    assert np.abs(unit - np.arange(20_000) / 20_000).max() * np.sqrt(20_000) < 2.2
    assert isinstance(motion, Translate) or not shift_BD.any()


def test_axes_are_shifted_independently():
    """A correlation of n independent pairs has std 1/√n."""
    _, shift_BD = drawn(Translate(inr=SIREN), 20_000)
    assert abs(np.corrcoef(shift_BD.T)[0, 1]) < 4 / np.sqrt(20_000)


def test_scale_is_a_similarity_and_rotation_keeps_lengths():
    matrix_BDD, _ = drawn(Scale(inr=SIREN))
    np.testing.assert_array_equal(matrix_BDD, matrix_BDD[:, :1, :1] * np.eye(2))
    matrix_BDD, _ = drawn(Rotate(inr=SIREN))
    np.testing.assert_allclose(matrix_BDD.transpose(0, 2, 1) @ matrix_BDD, np.tile(np.eye(2), (8, 1, 1)), atol=1e-15)
    np.testing.assert_allclose(np.linalg.det(matrix_BDD), 1)


@pytest.mark.parametrize("probability", [0.5, 0.1])
def test_flips_as_often_as_asked(probability):
    matrix_BDD, _ = drawn(Flip(inr=SIREN, probability=probability), 20_000)
    flipped = (matrix_BDD == np.diag([1.0, -1.0])).all((1, 2))
    assert (flipped | (matrix_BDD == np.eye(2)).all((1, 2))).all()
    assert abs(flipped.mean() - probability) < 4 * np.sqrt(probability * (1 - probability) / 20_000)


@pytest.mark.parametrize("motion", MOTIONS)
def test_every_inr_has_a_draw_of_its_own(motion):
    """32 copies of one INR become 32 different ones (by a flip: two)."""
    moved = motion(inr=SIREN)(fresh(SIREN, 1).expand(32, -1), seeded())
    assert len(torch.unique(moved, dim=0)) == (2 if motion is Flip else 32)


@pytest.mark.parametrize("motion", MOTIONS)
def test_leading_dimensions_count_inrs(motion):
    move, weights = motion(inr=SIREN), fresh(SIREN, 6)
    moved = move(weights, seeded())
    assert torch.equal(move(weights.reshape(2, 3, -1), seeded()), moved.reshape(2, 3, -1))
    assert torch.equal(move(weights[0], seeded()), move(weights[:1], seeded())[0])


@pytest.mark.parametrize("motion", MOTIONS)
def test_leaves_its_input_alone(motion):
    weights = fresh(SIREN)
    kept = weights.clone()
    moved = motion(inr=SIREN)(weights, seeded())
    assert torch.equal(weights, kept)
    assert moved.dtype == weights.dtype


def test_a_gabor_net_refuses_a_shear():
    with pytest.raises(InrzooError, match="envelopes of a GaborNet are round"):
        Shear(inr=GABOR)(fresh(GABOR), seeded())


@pytest.mark.parametrize(
    "motion, fields, words",
    [
        (Rotate, {"degrees": -1.0}, "degrees = -1.0 is not allowed; it must be from 0 to 180"),
        (Rotate, {"degrees": 181.0}, "degrees = 181.0"),
        (Rotate, {"inr": Siren(in_features=1, out_features=1)}, "a rotation needs an INR of 2 coordinates"),
        (Translate, {"distance": -0.1}, "distance = -0.1"),
        (Translate, {"distance": math.inf}, "distance = inf"),
        (Scale, {"low": 0.0}, "low = 0.0 is not allowed; it must be above 0"),
        (Scale, {"high": 0.5}, "high = 0.5 is not allowed; it must be at least low = 0.8"),
        (Flip, {"axis": 2}, "axis = 2 is not allowed; it must be from -2 to 1"),
        (Flip, {"probability": 1.5}, "probability = 1.5"),
        (Shear, {"axis": -3}, "axis = -3"),
        (Shear, {"slope": math.nan}, "slope = nan"),
        (Shear, {"inr": Siren(in_features=3, out_features=1)}, "a shear needs an INR of 2 coordinates; this one has 3"),
    ],
)
def test_impossible_fields_are_refused(motion, fields, words):
    with pytest.raises(InrzooError, match=words):
        motion(**{"inr": SIREN} | fields)


def test_rotations_in_space_are_rotations_by_at_most_the_angle_about_axes_of_all_directions():
    inr = Siren(in_features=3, out_features=1, hidden_features=4)
    matrix, shift = Rotate(inr=inr, degrees=40.0).draw(4000, torch.Generator().manual_seed(0))
    one = torch.eye(3, dtype=torch.float64).expand_as(matrix)
    torch.testing.assert_close(matrix @ matrix.mT, one, rtol=0, atol=1e-14)
    torch.testing.assert_close(torch.linalg.det(matrix), torch.ones(4000, dtype=torch.float64))
    angle = ((matrix.diagonal(dim1=1, dim2=2).sum(dim=1) - 1) / 2).clamp(-1, 1).acos() * (180 / math.pi)
    assert angle.max() <= 40 and 18 < angle.mean() < 22 and (shift == 0).all()
    axis = torch.stack([matrix[:, 2, 1], matrix[:, 0, 2], matrix[:, 1, 0]], dim=-1)
    axis = (axis - torch.stack([matrix[:, 1, 2], matrix[:, 2, 0], matrix[:, 0, 1]], dim=-1)) / 2
    axis = axis / axis.norm(dim=1, keepdim=True)
    torch.testing.assert_close((axis.mT @ axis) / 4000, torch.eye(3, dtype=torch.float64) / 3, rtol=0, atol=0.02)


def test_a_quarter_turn_about_the_first_axis_takes_the_second_to_the_third():
    turn = rotation_about(torch.tensor([1.0, 0.0, 0.0]), torch.tensor(math.pi / 2))
    torch.testing.assert_close(turn @ torch.tensor([0.0, 1.0, 0.0]), torch.tensor([0.0, 0.0, 1.0]), rtol=0, atol=1e-6)


def test_a_shift_is_a_share_of_the_extent():
    inr = Siren(in_features=1, out_features=1, hidden_features=4)
    drawn = [
        Translate(inr=inr, distance=0.25, extent=extent).draw(1000, torch.Generator().manual_seed(0))[1]
        for extent in (1.0, 33.0)
    ]
    torch.testing.assert_close(drawn[1], 33 * drawn[0])
    assert 0.24 < drawn[0].abs().max() <= 0.25
