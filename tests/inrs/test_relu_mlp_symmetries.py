"""ReLU MLP: what changes its weights and not its function, the canonical form, and moved signals.

Shape letters: N INRs, K coordinates, D in_features.
"""

import math

import numpy as np
import pytest
import torch

from inrzoo.errors import InrzooError
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.seeding import Stream

N = 6
ENCODINGS = {
    "none": {},
    "positional": {"encoding": "positional", "num_frequencies": 5},
    "log_spaced": {"encoding": "log_spaced", "num_frequencies": 7, "sigma": 12.0},
    "fourier": {"encoding": "fourier", "num_frequencies": 12, "sigma": 3.0},
}
every_encoding = pytest.mark.parametrize("encoding", ENCODINGS)


def make(encoding: str = "none", **fields) -> ReluMlp:
    fields = {"in_features": 2, "out_features": 3, "hidden_features": 16, **ENCODINGS[encoding], **fields}
    return ReluMlp(**fields)


def starts(mlp: ReluMlp, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.from_numpy(np.stack([mlp.init(Stream("init", "test", 0, str(i))) for i in range(N)])).to(dtype)


def random_points(count: int = 1000, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.rand(count, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 2 - 1).to(dtype)


def another_member(mlp: ReluMlp, weights: torch.Tensor, seed: int) -> torch.Tensor:
    """Permuted and scaled by 1/10 to 10, in every layer and differently in every INR, twice over."""
    rng = np.random.default_rng(seed)
    axes = mlp.layout.neuron_axes.items()
    for _ in range(2):
        orders = {axis: torch.from_numpy(rng.random((N, size)).argsort(-1)) for axis, size in axes}
        weights = mlp.layout.permute_each(weights, orders)
        scales = {axis: torch.from_numpy(10 ** rng.uniform(-1, 1, (N, size))) for axis, size in axes}
        weights = mlp.scale_neurons(weights, scales)
    return weights


@every_encoding
def test_scaling_neurons_changes_the_weights_and_not_the_function(encoding):
    mlp = make(encoding)
    weights, coords = starts(mlp), random_points()
    scales = {axis: torch.linspace(0.2, 5, 16) for axis in mlp.layout.neuron_axes}
    scaled = mlp.scale_neurons(weights, scales)
    assert (scaled - weights).abs().max() > 0.5
    torch.testing.assert_close(mlp(scaled, coords), mlp(weights, coords), rtol=0, atol=1e-5)
    member = another_member(mlp, weights, 0)
    torch.testing.assert_close(mlp(member, coords), mlp(weights, coords), rtol=0, atol=1e-5)


def test_one_scale_by_hand():
    """max(0, 2x + 1) · 3 = max(0, 8x + 4) · 3/4."""
    mlp = ReluMlp(in_features=1, out_features=1, hidden_features=1, hidden_layers=0)
    scaled = mlp.scale_neurons(torch.tensor([2.0, 1.0, 3.0, 7.0]), {"hidden_0": torch.tensor([4.0])})
    torch.testing.assert_close(scaled, torch.tensor([8.0, 4.0, 0.75, 7.0]))


@pytest.mark.parametrize("axis", ["in", "out"])
def test_only_neurons_have_scales(axis):
    mlp = make()
    with pytest.raises(ValueError, match=f"axis '{axis}' cannot be permuted"):
        mlp.scale_neurons(starts(mlp), {axis: torch.ones(1)})


@every_encoding
def test_canonical_form_is_the_same_function(encoding):
    mlp = make(encoding)
    weights, coords = starts(mlp), random_points()
    canonical = mlp.canonicalise(weights)
    assert canonical.dtype == torch.float32
    torch.testing.assert_close(mlp(canonical, coords), mlp(weights, coords), rtol=0, atol=1e-5)


@every_encoding
def test_canonical_form_is_idempotent(encoding):
    mlp = make(encoding)
    canonical = mlp.canonicalise(starts(mlp))
    torch.testing.assert_close(mlp.canonicalise(canonical), canonical, rtol=0, atol=1e-5)


@every_encoding
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_canonical_form_is_equal_for_all_members_of_an_orbit(encoding, seed, dtype, tolerance):
    mlp = make(encoding)
    weights = starts(mlp, dtype)
    member = another_member(mlp, weights, seed)
    assert not torch.allclose(member, weights)
    torch.testing.assert_close(mlp.canonicalise(member), mlp.canonicalise(weights), rtol=tolerance, atol=tolerance)


def test_canonical_rows_have_norm_1_and_are_sorted():
    mlp = make()
    tensors = mlp.layout.split(mlp.canonicalise(starts(mlp)))
    for i in range(3):
        rows = torch.cat([tensors[f"weight_{i}"], tensors[f"bias_{i}"][..., None]], dim=-1)
        torch.testing.assert_close(rows.norm(dim=-1), torch.ones(N, 16))
        assert (rows[..., 0].diff(dim=-1) >= 0).all()


def test_neurons_that_are_all_zero_stay_finite():
    mlp = make()
    weights = torch.zeros(N, mlp.layout.num_params)
    assert torch.equal(mlp.canonicalise(weights), weights)


def test_output_biases_stay_and_the_batch_does_not_matter():
    mlp = make()
    weights = starts(mlp)
    together = mlp.canonicalise(weights)
    assert torch.equal(mlp.layout.split(together)["bias_3"], mlp.layout.split(weights)["bias_3"])
    torch.testing.assert_close(together, torch.stack([mlp.canonicalise(one) for one in weights]))
    torch.testing.assert_close(mlp.canonicalise(weights.reshape(2, 3, -1)), together.reshape(2, 3, -1))
    assert torch.equal(weights, starts(mlp))


# Moved signals: f'(x) = f(g⁻¹(x)), g(x) = A x + t


def rotation(degrees: float) -> torch.Tensor:
    angle = math.radians(degrees)
    return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


STILL = torch.zeros(2)
SHIFT = torch.tensor([0.25, -0.1])
MOVES = {
    "nothing": (torch.eye(2), STILL),
    "translation": (torch.eye(2), SHIFT),
    "point reflection": (-torch.eye(2), SHIFT),
    "flip": (torch.diag(torch.tensor([-1.0, 1.0])), STILL),
    "quarter turn": (rotation(90), SHIFT),
    "exchange of axes": (torch.eye(2).flip(0), SHIFT),
    "rotation": (rotation(37), STILL),
    "growth": (1.2 * torch.eye(2), STILL),
    "shear": (torch.tensor([[1.0, 0.4], [0.0, 1.0]]), STILL),
    "all": (rotation(-20) @ torch.tensor([[-1.1, 0.3], [0.2, 0.9]]), SHIFT),
}
OF_AXES = list(MOVES)[:6]
EXACT = {"none": list(MOVES), "positional": OF_AXES, "log_spaced": OF_AXES, "fourier": OF_AXES[:3]}


@pytest.mark.parametrize("encoding, move", [(encoding, move) for encoding in EXACT for move in EXACT[encoding]])
def test_moved_weights_are_the_moved_signal(encoding, move):
    mlp = make(encoding)
    matrix, shift = MOVES[move]
    weights, coords = starts(mlp), random_points()
    moved = mlp.transform_coords(weights, matrix, shift)
    assert moved.dtype == torch.float32
    before = (torch.linalg.inv(matrix.double()) @ (coords.double() - shift).T).T.float()
    torch.testing.assert_close(mlp(moved, coords), mlp(weights, before), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "encoding, move", [(encoding, move) for encoding in EXACT for move in MOVES if move not in EXACT[encoding]]
)
def test_moves_that_an_encoding_does_not_keep_are_refused(encoding, move):
    mlp = make(encoding)
    closed = "point reflection" if encoding == "fourier" else "exchanging and reflecting axes"
    with pytest.raises(InrzooError, match=f"'{encoding}' can be moved exactly only by shifts and {closed}"):
        mlp.transform_coords(starts(mlp), *MOVES[move])


@pytest.mark.parametrize("encoding", ["none", "positional"])
def test_each_inr_moves_its_own_way(encoding):
    mlp = make(encoding)
    weights = starts(mlp)
    matrices = torch.stack([rotation(90.0 * i) for i in range(N)])
    shifts = torch.linspace(-0.3, 0.3, 2 * N).reshape(N, 2)
    together = mlp.transform_coords(weights, matrices, shifts)
    alone = [mlp.transform_coords(*each) for each in zip(weights, matrices, shifts, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone))
    fan = mlp.transform_coords(weights[0], matrices, STILL)  # one INR moved in N ways
    torch.testing.assert_close(fan[3], mlp.transform_coords(weights[0], matrices[3], STILL))


@every_encoding
def test_a_matrix_without_inverse_is_refused(encoding):
    mlp = make(encoding)
    with pytest.raises(InrzooError, match="invertible"):
        mlp.transform_coords(starts(mlp), torch.ones(2, 2), STILL)
