"""SIREN: what changes its weights and not its function, the canonical form, and moved signals.

Shape letters: N INRs, P parameters, K coordinates, D in_features.
"""

import math
from itertools import product

import numpy as np
import pytest
import torch

from inrzoo.errors import InrzooError
from inrzoo.inrs.siren import TIE, Siren
from inrzoo.seeding import Stream

N = 6
KINDS = list(product(["sitzmann", "dws", "mwt"], [True, False]))
every_kind = pytest.mark.parametrize("convention, bias_inside", KINDS)


def make(convention: str, bias_inside: bool, **fields) -> Siren:
    fields = {"in_features": 2, "out_features": 3, "hidden_features": 16, "hidden_layers": 2} | fields
    return Siren(convention=convention, bias_inside=bias_inside, **fields)


def starts(siren: Siren, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.from_numpy(np.stack([siren.init(Stream("init", "test", 0, str(i))) for i in range(N)])).to(dtype)


def trained(siren: Siren, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Fresh weights pushed a little, so that no bias is 0, as after fitting."""
    noise = torch.randn(N, siren.layout.num_params, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return starts(siren, torch.float64).add(0.01 * noise).to(dtype)


def random_points(siren: Siren, count: int = 1000) -> torch.Tensor:
    return torch.rand(count, siren.in_features, generator=torch.Generator().manual_seed(2)) * 2 - 1


def random_orders(siren: Siren, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    return {
        axis: torch.from_numpy(rng.random((N, size)).argsort(-1)) for axis, size in siren.layout.neuron_axes.items()
    }


def random_signs(siren: Siren, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    return {axis: torch.from_numpy(rng.choice([-1.0, 1.0], (N, h))) for axis, h in siren.layout.neuron_axes.items()}


def random_half_turns(siren: Siren, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    return {axis: torch.from_numpy(rng.integers(-4, 5, (N, h))) for axis, h in siren.layout.neuron_axes.items()}


def another_member(siren: Siren, weights: torch.Tensor, seed: int) -> torch.Tensor:
    """Permuted, flipped and shifted, in every layer and differently in every INR, twice over."""
    rng = np.random.default_rng(seed)
    for _ in range(2):
        weights = siren.flip_neurons(weights, random_signs(siren, rng))
        weights = siren.layout.permute_each(weights, random_orders(siren, rng))
        weights = siren.shift_phases(weights, random_half_turns(siren, rng))
    return weights


def phases(siren: Siren, weights: torch.Tensor) -> torch.Tensor:
    tensors = siren.layout.split(weights)
    omegas = siren.bias_omegas
    return torch.cat([omega * tensors[f"bias_{i}"] for i, omega in enumerate(omegas)], dim=-1)


@every_kind
@pytest.mark.parametrize("step", ["permute", "flip", "shift", "all"])
def test_symmetries_change_the_weights_and_not_the_function(convention, bias_inside, step):
    siren = make(convention, bias_inside)
    weights, rng = trained(siren), np.random.default_rng(0)
    changed = {
        "permute": lambda: siren.layout.permute_each(weights, random_orders(siren, rng)),
        "flip": lambda: siren.flip_neurons(weights, random_signs(siren, rng)),
        "shift": lambda: siren.shift_phases(weights, random_half_turns(siren, rng)),
        "all": lambda: another_member(siren, weights, 0),
    }[step]()
    assert (changed - weights).abs().max() > 0.05
    coords = random_points(siren)
    torch.testing.assert_close(siren(changed, coords), siren(weights, coords), rtol=0, atol=3e-5)


def test_one_flip_and_one_shift_by_hand():
    """sin(2x + 0.5) · 3 = sin(−2x − 0.5) · (−3) = sin(2x + 0.5 + π) · (−3)."""
    siren = Siren(in_features=1, out_features=1, hidden_features=1, hidden_layers=0, omega_0=1.0)
    weights = torch.tensor([2.0, 0.5, 3.0, 7.0])
    flipped = siren.flip_neurons(weights, {"hidden_0": torch.tensor([-1])})
    torch.testing.assert_close(flipped, torch.tensor([-2.0, -0.5, -3.0, 7.0]))
    shifted = siren.shift_phases(weights, {"hidden_0": torch.tensor([1])})
    torch.testing.assert_close(shifted, torch.tensor([2.0, 0.5 + math.pi, -3.0, 7.0]))
    turned = siren.shift_phases(weights, {"hidden_0": torch.tensor([-2])})
    torch.testing.assert_close(turned, torch.tensor([2.0, 0.5 - 2 * math.pi, 3.0, 7.0]))


@pytest.mark.parametrize("bias_inside, period", [(True, 2 * math.pi / 30), (False, 2 * math.pi)])
def test_a_turn_is_2_pi_of_phase_not_of_bias(bias_inside, period):
    siren = make("sitzmann", bias_inside)
    weights = trained(siren, torch.float64)
    turned = siren.shift_phases(weights, {"hidden_1": torch.full((16,), 2)})
    expected = siren.layout.split(weights)
    expected["bias_1"] = expected["bias_1"] + period
    torch.testing.assert_close(turned, siren.layout.join(expected))


@pytest.mark.parametrize("axis", ["in", "out", "hidden_9"])
def test_only_neurons_have_symmetries(axis):
    siren = make("sitzmann", True)
    for change in (siren.flip_neurons, siren.shift_phases):
        with pytest.raises(ValueError, match=f"axis '{axis}' cannot be permuted"):
            change(trained(siren), {axis: torch.ones(1)})


# The canonical form


@every_kind
@pytest.mark.parametrize("weights_of", [starts, trained])
def test_canonical_form_is_the_same_function(convention, bias_inside, weights_of):
    siren = make(convention, bias_inside)
    weights, coords = weights_of(siren), random_points(siren)
    canonical = siren.canonicalise(weights)
    assert canonical.dtype == torch.float32
    torch.testing.assert_close(siren(canonical, coords), siren(weights, coords), rtol=0, atol=1e-5)


@every_kind
@pytest.mark.parametrize("weights_of", [starts, trained])
def test_canonical_form_is_idempotent(convention, bias_inside, weights_of):
    siren = make(convention, bias_inside)
    canonical = siren.canonicalise(weights_of(siren))
    torch.testing.assert_close(siren.canonicalise(canonical), canonical, rtol=0, atol=1e-5)


@every_kind
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weights_of", [starts, trained])
@pytest.mark.parametrize("dtype, atol", [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_canonical_form_is_equal_for_all_members_of_an_orbit(convention, bias_inside, seed, weights_of, dtype, atol):
    """It also holds for fresh `dws` and `mwt` weights: their phases are 0, the tie that either sign could claim."""
    siren = make(convention, bias_inside)
    weights = weights_of(siren, dtype)
    member = another_member(siren, weights, seed)
    torch.testing.assert_close(siren.canonicalise(member), siren.canonicalise(weights), rtol=0, atol=atol)


@pytest.mark.parametrize("phase", [0.0, math.pi / 2, -math.pi / 2, math.pi, 1.5 * math.pi])
@pytest.mark.parametrize("bias_inside", [True, False])
def test_ties_at_the_ends_of_the_interval(phase, bias_inside):
    """sin(a) = −sin(−a) and sin(a + π/2) = sin(−a + π/2): the greatest weight of the row decides."""
    siren = make("sitzmann", bias_inside)
    tensors = siren.layout.split(trained(siren))
    for i, omega in enumerate(siren.bias_omegas):
        tensors[f"bias_{i}"] = torch.full_like(tensors[f"bias_{i}"], phase / omega)
    weights = siren.layout.join(tensors)
    canonical = siren.canonicalise(weights)
    coords = random_points(siren)
    torch.testing.assert_close(siren(canonical, coords), siren(weights, coords), rtol=0, atol=1e-5)
    for i in range(3):
        rows = siren.layout.split(canonical)[f"weight_{i}"]
        assert (rows.gather(-1, rows.abs().argmax(-1, keepdim=True)) > 0).all()
    mirrored = siren.shift_phases(
        siren.flip_neurons(weights, {"hidden_1": -torch.ones(16)}), {"hidden_1": torch.ones(16)}
    )
    for member in (mirrored, another_member(siren, weights, 0)):
        torch.testing.assert_close(siren.canonicalise(member), canonical, rtol=0, atol=1e-5)


@every_kind
def test_canonical_phases_lie_in_the_first_quarter_turn(convention, bias_inside):
    siren = make(convention, bias_inside)
    before, after = (phases(siren, weights) for weights in (trained(siren), siren.canonicalise(trained(siren))))
    assert before.min() < 0
    assert after.min() >= -TIE * 1.01
    assert after.max() <= math.pi / 2 + TIE * 1.01
    assert after.max() > math.pi / 4 or convention != "sitzmann"


def test_canonical_neurons_are_sorted_by_the_norm_of_their_row():
    siren = make("sitzmann", True)
    tensors = siren.layout.split(siren.canonicalise(trained(siren)))
    for i in range(3):
        assert (tensors[f"weight_{i}"].norm(dim=-1).diff(dim=-1) > -1e-6).all()


def test_rows_of_one_norm_are_told_apart_by_their_entries():
    """Handmade networks have them: (1, 0) and (0, 1) keep no trace of the order they were given in."""
    siren = Siren(in_features=2, out_features=1, hidden_features=4, hidden_layers=0, omega_0=1.0)
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [3.0, 4.0]])
    bias, out = torch.tensor([0.5, 0.5, 0.25, 1.0]), torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    weights = siren.layout.join({"weight_0": rows, "bias_0": bias, "weight_1": out, "bias_1": torch.zeros(1)})
    canonical = siren.layout.split(siren.canonicalise(weights))
    assert canonical["weight_0"].tolist() == [[0, 1], [0, 1], [1, 0], [3, 4]]
    assert canonical["bias_0"].tolist() == [0.25, 0.5, 0.5, 1.0]
    assert canonical["weight_1"].tolist() == [[3, 2, 1, 4]]
    for order in ([3, 2, 1, 0], [1, 0, 3, 2], [2, 0, 1, 3]):
        member = siren.layout.permute(weights, {"hidden_0": order})
        torch.testing.assert_close(siren.canonicalise(member), siren.canonicalise(weights))


@every_kind
def test_output_neurons_keep_their_order_sign_and_bias(convention, bias_inside):
    siren = make(convention, bias_inside)
    weights = trained(siren)
    before, after = siren.layout.split(weights), siren.layout.split(siren.canonicalise(weights))
    assert torch.equal(after["bias_3"], before["bias_3"])
    torch.testing.assert_close(after["weight_3"].abs().sort(-1)[0], before["weight_3"].abs().sort(-1)[0])


def test_canonical_form_of_each_inr_is_its_own():
    siren = make("sitzmann", True)
    weights = trained(siren)
    together = siren.canonicalise(weights)
    assert torch.equal(together, torch.stack([siren.canonicalise(one) for one in weights]))
    assert torch.equal(siren.canonicalise(weights.reshape(2, 3, -1)), together.reshape(2, 3, -1))
    assert torch.equal(weights, trained(siren))


# Moved signals: f'(x) = f(g⁻¹(x)), g(x) = A x + t


def rotation(degrees: float) -> torch.Tensor:
    angle = math.radians(degrees)
    return torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


STILL = torch.zeros(2)
MOVES = {
    "nothing": (torch.eye(2), STILL),
    "rotation": (rotation(37), STILL),
    "translation": (torch.eye(2), torch.tensor([0.25, -0.1])),
    "growth": (1.2 * torch.eye(2), STILL),
    "shrinking": (torch.diag(torch.tensor([0.8, 0.9])), STILL),
    "flip": (torch.diag(torch.tensor([-1.0, 1.0])), STILL),
    "shear": (torch.tensor([[1.0, 0.4], [0.0, 1.0]]), STILL),
    "all": (rotation(-20) @ torch.tensor([[-1.1, 0.3], [0.2, 0.9]]), torch.tensor([-0.2, 0.15])),
}


@every_kind
@pytest.mark.parametrize("move", MOVES)
def test_moved_weights_are_the_moved_signal(convention, bias_inside, move):
    siren = make(convention, bias_inside, output_offset=0.5)
    matrix, shift = MOVES[move]
    weights, coords = trained(siren), random_points(siren)
    moved = siren.transform_coords(weights, matrix, shift)
    assert moved.dtype == torch.float32
    before = (torch.linalg.inv(matrix.double()) @ (coords.double() - shift).T).T
    torch.testing.assert_close(siren(moved, coords), siren(weights, before.float()), rtol=0, atol=1e-4)
    exact = siren.transform_coords(weights.double(), matrix, shift)
    torch.testing.assert_close(siren(exact, coords.double()), siren(weights.double(), before), rtol=0, atol=1e-10)


@pytest.mark.parametrize("bias_inside", [True, False])
def test_one_move_after_the_other_is_their_composition(bias_inside):
    siren = make("sitzmann", bias_inside)
    weights = trained(siren, torch.float64)
    (a, t), (b, u) = MOVES["all"], (rotation(50).double() * 0.7, torch.tensor([0.3, 0.1]))
    one_by_one = siren.transform_coords(siren.transform_coords(weights, a, t), b, u)
    at_once = siren.transform_coords(weights, b @ a.double(), b @ t.double() + u)
    torch.testing.assert_close(one_by_one, at_once)


def test_content_grows_and_moves_the_way_it_is_said():
    """The crest of sin at x = 0 goes to t, and with A = 2 its neighbours go twice as far from it."""
    siren = Siren(in_features=1, out_features=1, hidden_features=1, hidden_layers=0, omega_0=1.0)
    weights = torch.tensor([math.pi, math.pi / 2, 1.0, 0.0])  # cos(π x)
    moved = siren.transform_coords(weights, torch.tensor([[2.0]]), torch.tensor([0.5]))
    values = siren(moved, torch.tensor([[0.5], [1.5], [2.5]]))[:, 0]
    torch.testing.assert_close(values, torch.tensor([1.0, 0.0, -1.0]), rtol=0, atol=1e-6)


def test_each_inr_moves_its_own_way():
    siren = make("sitzmann", True)
    weights = trained(siren)
    matrices = torch.stack([rotation(10.0 * i) for i in range(N)])
    shifts = torch.linspace(-0.3, 0.3, 2 * N).reshape(N, 2)
    together = siren.transform_coords(weights, matrices, shifts)
    alone = [siren.transform_coords(*each) for each in zip(weights, matrices, shifts, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone))
    fan = siren.transform_coords(weights[0], matrices, STILL)  # one INR moved in N ways
    torch.testing.assert_close(fan[3], siren.transform_coords(weights[0], matrices[3], STILL))


def test_only_the_first_layer_moves():
    siren = make("sitzmann", True)
    before = siren.layout.split(trained(siren))
    after = siren.layout.split(siren.transform_coords(trained(siren), *MOVES["all"]))
    for name in before:
        assert torch.equal(before[name], after[name]) == (name not in ("weight_0", "bias_0")), name


def test_a_matrix_without_inverse_is_refused():
    siren = make("sitzmann", True)
    with pytest.raises(InrzooError, match="invertible"):
        siren.transform_coords(trained(siren), torch.ones(2, 2), STILL)
