"""What every engine must do that fits each INR by itself, whatever compiles it."""

import itertools
from collections.abc import Callable

import numpy as np
import torch

from inrzoo.choices import Status
from inrzoo.coords import grid
from inrzoo.fit import FitProblem, loop
from inrzoo.fit.result import Fit
from inrzoo.fit.schedule import Schedule
from inrzoo.inrs import INR
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren
from inrzoo.seeding import Stream

Engine = Callable[..., Fit]

SHAPES = {"in_features": 2, "out_features": 1}
INRS = [
    Siren(**SHAPES),
    *(
        Siren(**SHAPES, convention=name, bias_inside=inside)
        for name, inside in itertools.product(("sitzmann", "dws", "mwt"), (True, False))
    ),
    Siren(in_features=2, out_features=3, output_offset=0.5, hidden_features=20),
    Siren(in_features=1, out_features=1, hidden_features=5, hidden_layers=0),
    Siren(in_features=3, out_features=2, hidden_features=64, hidden_layers=3),
    Siren(**SHAPES, hidden_features=1, hidden_layers=2),
    FourierNet(**SHAPES),
    FourierNet(in_features=3, out_features=3, hidden_features=9, num_filters=2, input_scale=8.0),
    FourierNet(in_features=1, out_features=1, num_filters=1, input_scale=8.0),
    GaborNet(**SHAPES, input_scale=8.0),
    GaborNet(in_features=1, out_features=2, hidden_features=20, num_filters=4, input_scale=8.0),
    ReluMlp(**SHAPES),
    ReluMlp(in_features=2, out_features=3, encoding="positional", num_frequencies=4, hidden_features=16),
    ReluMlp(in_features=1, out_features=1, encoding="fourier", num_frequencies=7, hidden_features=12),
]

LONG = [Siren(**SHAPES), Siren(**SHAPES, convention="mwt"), ReluMlp(**SHAPES), FourierNet(**SHAPES), GaborNet(**SHAPES)]


def problem(inr: INR, count: int = 4, side: int = 9) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Starts, a grid whose number of points is no multiple of anything, and smooth signals on it."""
    coords = torch.from_numpy(grid((side,) * inr.in_features))
    generator = torch.Generator().manual_seed(0)
    waves = torch.rand(count, inr.in_features, inr.out_features, generator=generator) * 4
    targets = torch.sin(torch.einsum("kd,bdc->bkc", coords, waves) + waves.sum(1, keepdim=True)) * 0.8
    starts = np.stack([inr.init(Stream("init", "test", 0, str(i))) for i in range(count)])
    return torch.from_numpy(starts), coords, targets.contiguous()


def agrees_with_the_reference(fit: Engine, inr: INR) -> None:
    starts, coords, targets = problem(inr)
    settings = {"lr": 1e-3, "snapshots": [0, 1, 5]}
    fused, reference = (engine(FitProblem(inr, starts, coords, targets, **settings)) for engine in (fit, loop.fit))
    torch.testing.assert_close(fused.weights_BTP[:, 0], reference.weights_BTP[:, 0], rtol=3e-7, atol=0)
    torch.testing.assert_close(fused.loss_BT, reference.loss_BT, rtol=2e-4, atol=1e-9)
    torch.testing.assert_close(fused.loss_BT[:, 0], reference.loss_BT[:, 0], rtol=3e-6, atol=1e-10)
    # Where a gradient is rounding noise, Adam's first steps have the size of lr and either sign.
    close = torch.isclose(fused.weights_BTP, reference.weights_BTP, atol=2e-5, rtol=1e-4)
    assert close.float().mean() > 0.995
    assert (fused.status_B == reference.status_B).all() and (fused.steps_BT == reference.steps_BT).all()


def reaches_the_same_psnr(fit: Engine, inr: INR, side: int, steps: int) -> None:
    starts, coords, targets = problem(inr, side=side)
    settings = {"lr": 2e-4, "snapshots": [steps]}
    fused, reference = (engine(FitProblem(inr, starts, coords, targets, **settings)) for engine in (fit, loop.fit))
    compared = reference.psnr_BT < 55
    assert compared.any()
    assert (fused.psnr_BT - reference.psnr_BT)[compared].abs().max() < 0.1


def bits_depend_on_the_inr_alone(fit: Engine) -> None:
    inr = Siren(**SHAPES, hidden_features=16)
    starts, coords, targets = problem(inr, count=9)
    settings = {"lr": 2e-3, "snapshots": [10, 200], "stop_psnr": 22.0}
    together = fit(FitProblem(inr, starts, coords, targets, **settings))
    assert len(set(together.steps_BT[:, 1].tolist())) > 3, "they should stop at different steps"
    order = torch.tensor([4, 0, 8, 2, 6, 1, 7, 3, 5])
    shuffled = fit(FitProblem(inr, starts[order], coords, targets[order], **settings), threads=3)
    for one, other in zip(vars(together).values(), vars(shuffled).values(), strict=True):
        if one is not None:
            assert torch.equal(one[order], other)
    for index in range(9):
        alone = fit(FitProblem(inr, starts[index : index + 1], coords, targets[index : index + 1], **settings))
        assert torch.equal(alone.weights_BTP[0], together.weights_BTP[index])


def stopping_is_that_of_a_shorter_fit(fit: Engine) -> None:
    inr = Siren(**SHAPES)
    starts, coords, targets = problem(inr)
    stopped = fit(FitProblem(inr, starts, coords, targets, lr=1e-3, snapshots=[5, 300], stop_psnr=25.0))
    assert (stopped.status_B == Status.EARLY_STOP).all() and (stopped.psnr_BT[:, 1] >= 25).all()
    for index, steps in enumerate(stopped.steps_BT[:, 1].tolist()):
        one = slice(index, index + 1)
        short = fit(FitProblem(inr, starts[one], coords, targets[one], lr=1e-3, snapshots=[steps - 1, steps]))
        assert torch.equal(short.weights_BTP[0, 1], stopped.weights_BTP[index, 1])
        assert short.psnr_BT[0, 0] < 25


EXTREMES = [
    ({"targets": lambda y: y * 0 + 0.25}, Status.OK),
    ({"targets": lambda y: y * torch.nan}, Status.DIVERGED),
    ({"starts": lambda w: w * torch.nan}, Status.DIVERGED),
    ({"starts": lambda w: w * 1e30}, Status.DIVERGED),
]
Changes = dict[str, Callable[[torch.Tensor], torch.Tensor]]


def extreme_input_is_safe(fit: Engine, changes: Changes, status: Status) -> None:
    inr = Siren(**SHAPES)
    starts, coords, targets = problem(inr)
    starts = changes.get("starts", lambda w: w)(starts)
    targets = changes.get("targets", lambda y: y)(targets)
    assert (fit(FitProblem(inr, starts, coords, targets, lr=1e-3, snapshots=[400])).status_B == status).all()


def one_pixel_is_fitted(fit: Engine) -> None:
    inr = Siren(**SHAPES)
    starts, _, _ = problem(inr)
    one = fit(FitProblem(inr, starts, torch.zeros(1, 2), torch.full((4, 1, 1), 0.5), lr=1e-3, snapshots=[200]))
    assert (one.psnr_BT > 30).all()


def a_large_learning_rate_diverges(fit: Engine) -> None:
    inr = Siren(**SHAPES)
    starts, coords, targets = problem(inr)
    assert (fit(FitProblem(inr, starts, coords, targets, lr=1e3, snapshots=[50])).status_B == Status.DIVERGED).all()


def keys(count: int) -> np.ndarray:
    return np.array([Stream("coordinate subset", "test", 0, str(i)).word() for i in range(count)], dtype=np.uint64)


def own_coords(inr: INR, count: int, side: int) -> torch.Tensor:
    """Coordinates (B, K, D), others for each INR."""
    generator = torch.Generator().manual_seed(3)
    return torch.rand(count, side**inr.in_features, inr.in_features, generator=generator) * 2 - 1


FEATURES: dict[str, Callable[[INR, int, int], dict[str, object]]] = {
    "cosine": lambda inr, count, side: {"schedule": Schedule(kind="cosine", steps=7, final_factor=0.1, warm_up=2)},
    "decay": lambda inr, count, side: {"weight_decay": 5.0},
    "clipping": lambda inr, count, side: {"max_grad_norm": 0.05},
    "factors": lambda inr, count, side: {
        "lr_factors": {inr.layout.tensors[0].name: 0.1, inr.layout.tensors[-1].name: 3.0}
    },
    "bce": lambda inr, count, side: {"loss": "bce"},
    "weights": lambda inr, count, side: {"point_weights_BK": own_coords(inr, count, side)[..., 0] + 1.0},
    "own coordinates": lambda inr, count, side: {"coords": own_coords(inr, count, side)},
    "subsets": lambda inr, count, side: {"num_coords": 13, "keys_B": keys(count), "evaluate_every": 2},
}
"""Settings of a fit beyond the plain one, given an INR, the number of INRs and the side of the grid."""


def featured(inr: INR, *names: str, count: int = 4, side: int = 9, **settings: object) -> FitProblem:
    """A problem with some of the `FEATURES`."""
    starts, coords, targets = problem(inr, count, side)
    changes: dict[str, object] = {"lr": 1e-3, "snapshots": [0, 1, 5], **settings}
    for name in names:
        changes |= FEATURES[name](inr, count, side)
    if "bce" in names:
        targets = (targets + 1) / 2
    return FitProblem(inr, starts, changes.pop("coords", coords), targets, **changes)


def features_agree_with_the_reference(fit: Engine, inr: INR, *names: str) -> None:
    fused, reference = (engine(featured(inr, *names)) for engine in (fit, loop.fit))
    torch.testing.assert_close(fused.loss_BT, reference.loss_BT, rtol=2e-4, atol=1e-9)
    torch.testing.assert_close(fused.loss_BT[:, 0], reference.loss_BT[:, 0], rtol=3e-6, atol=1e-10)
    close = torch.isclose(fused.weights_BTP, reference.weights_BTP, atol=2e-5, rtol=1e-4)
    assert close.float().mean() > 0.99
    plain = fit(featured(inr))
    assert not torch.isclose(fused.weights_BTP[:, 2], plain.weights_BTP[:, 2], atol=2e-5, rtol=1e-4).all()
    assert (fused.status_B == reference.status_B).all() and (fused.steps_BT == reference.steps_BT).all()


def featured_bits_depend_on_the_inr_alone(fit: Engine) -> None:
    inr = Siren(**SHAPES, hidden_features=16)
    names = ("cosine", "decay", "clipping", "weights", "own coordinates", "subsets")
    whole = featured(inr, *names, count=5, snapshots=[3, 7])
    together = fit(whole)
    for index, alone in enumerate(map(fit, whole.split(1))):
        assert torch.equal(alone.weights_BTP[0], together.weights_BTP[index])
    in_pairs = torch.cat([fit(part, threads=2).weights_BTP for part in whole.split(2)])
    assert torch.equal(in_pairs, together.weights_BTP)
