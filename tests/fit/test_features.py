"""Schedules, decay, clipping, losses, weights of points, own coordinates and subsets of coordinates."""

import math

import engine_truths
import numpy as np
import pytest
import torch
from engine_truths import FEATURES, INRS, SHAPES, featured, keys, problem

from inrzoo.choices import Status
from inrzoo.coords import grid
from inrzoo.errors import InrzooError
from inrzoo.fit import FitProblem, cuda_graph, fused_cpu, loop, subsets
from inrzoo.fit.descent import Descent
from inrzoo.fit.losses import binary_cross_entropy
from inrzoo.fit.schedule import Schedule
from inrzoo.inrs import INR
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren
from inrzoo.seeding import Stream

SIREN = Siren(**SHAPES)
ENCODED = ReluMlp(in_features=1, out_features=1, encoding="fourier", num_frequencies=7, hidden_features=12)
ENGINES = {"fused": fused_cpu.fit, "reference": loop.fit}
either = pytest.mark.parametrize("fit", ENGINES.values(), ids=ENGINES)


@pytest.mark.parametrize("name", FEATURES)
def test_each_feature_of_the_fused_engine_is_the_references(name: str) -> None:
    engine_truths.features_agree_with_the_reference(fused_cpu.fit, SIREN, name)


@pytest.mark.parametrize("inr", [FourierNet(**SHAPES), GaborNet(**SHAPES, input_scale=8.0), ENCODED], ids=str)
def test_all_features_together_in_every_family(inr: INR) -> None:
    engine_truths.features_agree_with_the_reference(fused_cpu.fit, inr, *FEATURES)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("dimensions", [1, 4, 5, 6])
def test_features_in_any_dimension(dimensions: int, channels: int) -> None:
    inr = Siren(in_features=dimensions, out_features=channels, hidden_features=12)
    for fused, reference in [[engine(featured(inr, *FEATURES, side=3)) for engine in ENGINES.values()]]:
        torch.testing.assert_close(fused.loss_BT, reference.loss_BT, rtol=2e-4, atol=1e-9)


@pytest.mark.parametrize("inr", INRS, ids=str)
@pytest.mark.slow
def test_each_family_has_every_feature(inr: INR) -> None:
    engine_truths.features_agree_with_the_reference(fused_cpu.fit, inr, *FEATURES)


def test_bits_depend_on_the_inr_alone() -> None:
    engine_truths.featured_bits_depend_on_the_inr_alone(fused_cpu.fit)


@pytest.mark.slow
@pytest.mark.parametrize("names", [("cosine",), ("cosine", "subsets", "decay"), ("own coordinates", "bce")], ids=str)
def test_a_thousand_steps_reach_the_same_loss(names: tuple[str, ...]) -> None:
    """Within 0.1 dB."""
    schedule = {"schedule": Schedule(kind="cosine", steps=1000, warm_up=50)} if "cosine" in names else {}
    others = [name for name in names if name != "cosine"]
    settings = {"lr": 2e-4, "snapshots": [1000], **schedule}
    fused, reference = (engine(featured(SIREN, *others, side=16, **settings)) for engine in ENGINES.values())
    assert (10 * (fused.loss_BT / reference.loss_BT).log10()).abs().max() < 0.1


# --- schedules --------------------------------------------------------------------------------------------------------


def test_a_cosine_is_that_of_torch() -> None:
    adam = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, T_max=40, eta_min=0.2)
    expected = []
    for _ in range(40):
        expected.append(adam.param_groups[0]["lr"])
        adam.step()
        schedule.step()
    ours = 2.0 * Schedule(kind="cosine", steps=40, final_factor=0.1).factors(40)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_warm_up_grows_evenly_to_the_full_rate() -> None:
    assert Schedule(warm_up=4, steps=9).factors(6).tolist() == [0.25, 0.5, 0.75, 1, 1, 1]
    warmed = Schedule(kind="cosine", steps=10, warm_up=4).factors(10)
    assert warmed[:5].tolist() == [0.25, 0.5, 0.75, 1, 1] and (np.diff(warmed[4:]) < 0).all()


def test_a_view_is_a_state_of_the_one_long_fit() -> None:
    schedule = Schedule(kind="cosine", steps=20)
    whole = fused_cpu.fit(featured(SIREN, schedule=schedule, snapshots=[5, 20]))
    part = fused_cpu.fit(featured(SIREN, schedule=schedule, snapshots=[5]))
    shorter = fused_cpu.fit(featured(SIREN, schedule=Schedule(kind="cosine", steps=5), snapshots=[5]))
    assert torch.equal(whole.weights_BTP[:, 0], part.weights_BTP[:, 0])
    assert not torch.equal(whole.weights_BTP[:, 0], shorter.weights_BTP[:, 0])


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "sawtooth"}, {"final_factor": 1.5}, {"warm_up": -1}, {"kind": "cosine", "steps": 5, "warm_up": 5}],
)
def test_a_schedule_that_cannot_be_followed(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"schedule|final_factor|warm up"):
        Schedule(**wrong)


# --- optimiser --------------------------------------------------------------------------------------------------------


def by_torch(step: str, lr: float = 1e-2) -> torch.Tensor:
    """Four steps of one INR by torch's own optimisers, (P,)."""
    starts, coords, targets = problem(SIREN)
    weights = starts[:1].clone().requires_grad_()
    adam = torch.optim.AdamW([weights], lr=lr, weight_decay=3.0 if step == "decay" else 0.0)
    for _ in range(4):
        adam.zero_grad()
        (SIREN(weights, coords) - targets[:1]).square().mean().backward()
        if step == "clipping":
            torch.nn.utils.clip_grad_norm_([weights], 0.02)
        adam.step()
    return weights.detach()[0]


@either
@pytest.mark.parametrize("step", ["decay", "clipping"])
def test_steps_are_torchs(step: str, fit: engine_truths.Engine) -> None:
    change = {"decay": {"weight_decay": 3.0}, "clipping": {"max_grad_norm": 0.02}}[step]
    ours = fit(featured(SIREN, lr=1e-2, snapshots=[4], **change)).weights_BTP[0, 0]
    assert torch.isclose(ours, by_torch(step), atol=2e-5, rtol=1e-4).float().mean() > 0.99
    assert not torch.isclose(ours, by_torch("plain"), atol=2e-5, rtol=1e-4).float().mean() > 0.9


@either
def test_a_factor_of_0_holds_a_tensor(fit: engine_truths.Engine) -> None:
    fitted = fit(featured(SIREN, lr_factors={"weight_0": 0.0}, weight_decay=1.0))
    tensors = SIREN.layout.split(fitted.weights_BTP)
    torch.testing.assert_close(tensors["weight_0"][:, 2], tensors["weight_0"][:, 0], rtol=2e-7, atol=0)
    assert (tensors["bias_0"][:, 2] != tensors["bias_0"][:, 0]).any()


# --- losses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1.0, 30.0, 1000.0])
def test_the_gradient_of_bce_is_that_of_torch(size: float) -> None:
    """Also for logits far beyond those whose exponential is a float32."""
    starts, coords, targets = problem(SIREN)
    labels = ((targets + 1) / 2).round()
    weights = torch.cat([starts[:, :-33], starts[:, -33:] * size], dim=1)  # of the output layer: of the logits
    exact = weights.double().requires_grad_()
    logits = SIREN(exact, coords.double())
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels.double(), reduction="none")
    losses = losses.mean(dim=(1, 2))
    (slopes,) = torch.autograd.grad(losses.sum(), exact)
    given = FitProblem(SIREN, weights, coords, labels, lr=1e-3, snapshots=[0], loss="bce")
    loss, ours = fused_cpu.gradients(given)
    torch.testing.assert_close(loss.double(), losses.detach(), rtol=1e-5, atol=1e-7)
    assert ((ours - slopes).norm(dim=1) / slopes.norm(dim=1)).max() < 1e-4
    torch.testing.assert_close(loop.fit(given).loss_BT[:, 0], loss, rtol=1e-5, atol=1e-7)


def test_psnr_is_that_of_squared_errors_alone() -> None:
    assert fused_cpu.fit(featured(SIREN, "bce")).psnr_BT.isnan().all()
    with pytest.raises(ValueError, match="stops at a PSNR"):
        featured(SIREN, "bce", stop_psnr=30.0)


def test_the_reference_takes_any_loss() -> None:
    """The same function under its name and as itself; the fused engine refuses what it cannot compile."""
    named, given = (loop.fit(featured(SIREN, "bce", loss=loss)) for loss in ("bce", binary_cross_entropy))
    assert torch.equal(named.weights_BTP, given.weights_BTP)
    with pytest.raises(InrzooError, match="mse and bce; --engine reference"):
        fused_cpu.fit(featured(SIREN, loss=binary_cross_entropy))


@either
def test_a_point_without_weight_might_as_well_not_be_there(fit: engine_truths.Engine) -> None:
    starts, coords, targets = problem(SIREN)
    weights = torch.ones(4, 81)
    weights[:, 60:] = 0.0
    settings = {"lr": 1e-3, "snapshots": [0, 3]}
    weighted = fit(FitProblem(SIREN, starts, coords, targets, point_weights_BK=weights, **settings))
    fewer = fit(FitProblem(SIREN, starts, coords[:60], targets[:, :60].contiguous(), **settings))
    torch.testing.assert_close(weighted.loss_BT, fewer.loss_BT, rtol=1e-4, atol=1e-8)


@either
def test_own_coordinates_that_are_all_the_grid(fit: engine_truths.Engine) -> None:
    starts, coords, targets = problem(SIREN)
    settings = {"lr": 1e-3, "snapshots": [0, 3]}
    shared = fit(FitProblem(SIREN, starts, coords, targets, **settings))
    own = fit(FitProblem(SIREN, starts, coords.expand(4, -1, -1), targets, **settings))
    torch.testing.assert_close(own.loss_BT, shared.loss_BT, rtol=1e-4, atol=1e-8)


def test_many_inputs_are_made_for_a_few_inrs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fused_cpu.fit(featured(ENCODED, "own coordinates", count=5))
    monkeypatch.setattr(fused_cpu, "INPUT_BYTES", 2 * 4 * 14 * 9)
    parts = fused_cpu.fit(featured(ENCODED, "own coordinates", count=5))
    assert torch.equal(whole.weights_BTP, parts.weights_BTP) and torch.equal(whole.status_B, parts.status_B)


# --- subsets ----------------------------------------------------------------------------------------------------------


def test_the_draws_are_philox() -> None:
    """The first words of Random123's known answers for philox4x32-10: `kat_vectors`."""

    def word(key: int, position: int, step: int) -> int:
        return int(subsets.drawn(np.array([key], dtype=np.uint64), step, position + 1, 2**32 - 1)[0, -1])

    # ⌊w (2³² − 1) / 2³²⌋ is w − 1 for w > 0.
    assert word(0, 0, 0) == 0x6627E8D5 - 1


def test_the_fused_engine_draws_the_same_points() -> None:
    """One step on targets that tell which points were drawn: the gradient of the output's bias is their mean error."""
    flat = Siren(**SHAPES)
    starts = torch.zeros(3, flat.layout.num_params)
    targets = (torch.rand(3, 81, 1, generator=torch.Generator().manual_seed(0)) + 1.0) * 1e-9
    coords = torch.from_numpy(grid((9, 9)))
    given = FitProblem(flat, starts, coords, targets, lr=1.0, snapshots=[1], num_coords=1, keys_B=keys(3))
    # Far below Adam's ε a step grows with the error at the only point.
    moved, reference = (fit(given).weights_BTP[:, 0, -1] for fit in ENGINES.values())
    torch.testing.assert_close(moved, reference, rtol=1e-4, atol=0)
    assert (moved > 0).all()


def test_draws_are_even_and_new_at_each_step() -> None:
    drawn = np.concatenate([subsets.drawn(keys(8), step, 500, 7) for step in range(20)])
    counts = np.bincount(drawn.ravel(), minlength=7)
    assert len(counts) == 7 and abs(counts / drawn.size - 1 / 7).max() < 0.01
    first, second = (subsets.drawn(keys(2), step, 50, 1000) for step in range(2))
    assert (first != second).mean() > 0.9 and (first[0] != first[1]).mean() > 0.9
    assert (subsets.drawn(keys(2), 0, 20, 1000) == first[:, :20]).all()


@either
def test_the_loss_is_that_of_all_points(fit: engine_truths.Engine) -> None:
    fitted = fit(featured(SIREN, "subsets", snapshots=[0, 4]))
    _, coords, targets = problem(SIREN)
    for view in range(2):
        exact = (SIREN(fitted.weights_BTP[:, view], coords) - targets).square().mean(dim=(1, 2))
        torch.testing.assert_close(fitted.loss_BT[:, view], exact, rtol=1e-4, atol=1e-7)


@either
def test_an_inr_stops_where_all_points_are_looked_at(fit: engine_truths.Engine) -> None:
    fitted = fit(
        featured(SIREN, lr=2e-3, snapshots=[600], stop_psnr=25.0, num_coords=40, keys_B=keys(4), evaluate_every=7)
    )
    assert (fitted.status_B == Status.EARLY_STOP).all() and (fitted.steps_BT % 7 == 0).all()
    assert (fitted.psnr_BT >= 25).all() and (fitted.steps_BT > 0).all()


def test_a_recorded_step_takes_all_coordinates() -> None:
    with pytest.raises(InrzooError, match=r"cuda_graph|CUDA"):
        cuda_graph.fit(featured(SIREN, "subsets"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_coords": 3},
        {"num_coords": 0, "keys_B": keys(4)},
        {"weight_decay": -1.0},
        {"max_grad_norm": 0.0},
        {"lr_factors": {"nobody": 1.0}},
        {"loss": "mae"},
        {"point_weights_BK": torch.ones(4, 80)},
        {"coords": torch.zeros(3, 81, 2)},
    ],
)
def test_what_no_engine_could_fit(wrong: dict[str, object]) -> None:
    starts, coords, targets = problem(SIREN)
    with pytest.raises(ValueError, match=r"num_coords|weight_decay|lr_factors|loss|weights have shape|coords of 4"):
        FitProblem(SIREN, starts, wrong.pop("coords", coords), targets, lr=1e-3, snapshots=[1], **wrong)


def test_an_early_look_keeps_the_reference_in_step_with_its_draws() -> None:
    """`taken` counts steps, not looks."""
    descent = Descent(featured(SIREN, "subsets"))
    for _ in range(3):
        descent.look()
        descent.advance()
    assert descent.taken == 3 and int(descent.step) == 3


def test_a_start_with_larger_weights_has_higher_frequencies() -> None:
    """Weight scaling multiplies the W of all layers but the last, nothing else."""
    scaled, plain = (
        SIREN.layout.split(Siren(**SHAPES, init_scale=factor).init(Stream("init", "t", 0, "a")))
        for factor in (1.5, 1.0)
    )
    for name, tensor in plain.items():
        factor = 1.5 if name in ("weight_0", "weight_1") else 1.0
        np.testing.assert_allclose(scaled[name], factor * tensor, rtol=1e-6)


def test_fit_a_nefs_start() -> None:
    """Biases of 0, an output of deviation 1/√H that no uniform draw has."""
    inr = Siren(**SHAPES, convention="fit_a_nef", omega_0=8.0)
    draws = np.stack([inr.init(Stream("init", "t", 0, str(i))) for i in range(200)])
    tensors = inr.layout.split(draws)
    assert all((tensors[f"bias_{i}"] == 0).all() for i in range(3))
    assert abs(tensors["weight_2"].std() * math.sqrt(32) - 1) < 0.03 and abs(
        tensors["weight_2"]
    ).max() > 2.5 / math.sqrt(32)
    assert abs(tensors["weight_0"]).max() <= 0.5 and abs(tensors["weight_1"]).max() <= math.sqrt(6 / 32) / 8


def test_hidden_layers_with_a_factor_of_their_own() -> None:
    inr = Siren(**SHAPES, omega_0=60.0, omega_hidden=10.0)
    assert inr.omegas == (60.0, 10.0)
    starts, coords, targets = problem(inr)
    fused, reference = (
        fit(FitProblem(inr, starts, coords, targets, lr=1e-3, snapshots=[0, 3])) for fit in ENGINES.values()
    )
    torch.testing.assert_close(fused.loss_BT, reference.loss_BT, rtol=2e-4, atol=1e-9)
    with pytest.raises(InrzooError, match="omega_hidden"):
        Siren(**SHAPES, convention="mwt", omega_hidden=10.0)
