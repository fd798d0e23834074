"""What a fit can be asked for beyond plain Adam on a grid is, in the fused GPU engine, what the reference does.

In Triton's interpreter, as `test_fused_gpu`; and on a GPU where there is one.
"""

import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_fused_cpu import SHAPES, problem
from test_fused_gpu import needs_gpu, needs_triton

from inrzoo.errors import InrzooError
from inrzoo.fit import FitProblem, fused_gpu, loop, subsets
from inrzoo.fit.result import Fit, Status
from inrzoo.fit.schedule import Schedule
from inrzoo.inrs import INR
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren

Engine = Callable[[FitProblem], Fit]

SIREN = Siren(**SHAPES, hidden_features=6)
GABOR = GaborNet(**SHAPES, hidden_features=5, num_filters=2)
KEYS = np.array([5, 2**63 + 7, 2**64 - 1, 123456789012345], dtype=np.uint64)
POINT_WEIGHTS = torch.rand(4, 36, generator=torch.Generator().manual_seed(1)) * torch.arange(36).ge(3)
SCALES = torch.tensor([1.0, 0.5, 0.9, 0.7])
SUBSETS: dict[str, Any] = {"num_coords": 40, "keys_B": KEYS, "evaluate_every": 2}
DECAY: dict[str, Any] = {"weight_decay": 50.0, "lr_factors": {"weight_0": 0.1, "bias_1": 0.0}}
CLIP: dict[str, Any] = {"max_grad_norm": 1e-7}  # where Adam's ε shows what a gradient's size is
BCE: dict[str, Any] = {"loss": "bce"}

OPTIONS: dict[str, tuple[INR, dict[str, Any]]] = {
    "decay and a rate of each tensor": (SIREN, DECAY),
    "clipping": (SIREN, CLIP),
    "cross entropy": (SIREN, BCE),
    "subsets": (SIREN, SUBSETS),
    "cosine and warm-up": (SIREN, {"schedule": Schedule(kind="cosine", steps=3, warm_up=1)}),
    "weights of points": (SIREN, {"point_weights_BK": POINT_WEIGHTS}),
    "own coordinates": (SIREN, {"own": True}),
    "own coordinates, encoded": (ReluMlp(**SHAPES, hidden_features=6, encoding="positional"), {"own": True}),
    "own coordinates and subsets, Gabor": (GABOR, {"own": True, "point_weights_BK": POINT_WEIGHTS, **SUBSETS}),
    "everything, Gabor": (GABOR, {"own": True, "point_weights_BK": POINT_WEIGHTS, "weight_decay": 9.0}
                          | SUBSETS | BCE | CLIP),
}  # fmt: skip
FEW = tuple(OPTIONS)[:4]
SHOWN = [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in OPTIONS]


def asked(inr: INR, own: bool = False, **settings: Any) -> FitProblem:
    """Four INRs on 36 points. With cross entropy two of them begin at logits of which e cannot be taken the power."""
    starts, coords, targets = problem(inr, side=6)
    if settings.get("loss") == "bce":
        targets = targets / 2 + 0.5
        starts[:2, -1] = torch.tensor([120.0, -120.0])
    if own:
        coords = coords * SCALES[:, None, None]
    return FitProblem(
        inr, starts, coords, targets, **({"lr": 1e-3, "snapshots": [1, 3], "products": "ieee"} | settings)
    )


def part(whole: FitProblem, index: torch.Tensor) -> FitProblem:
    """The INRs with these numbers."""
    assert whole.keys_B is not None and whole.point_weights_BK is not None
    return replace(
        whole,
        starts_BP=whole.starts_BP[index],
        coords=whole.coords[index],
        targets_BKC=whole.targets_BKC[index],
        point_weights_BK=whole.point_weights_BK[index],
        keys_B=whole.keys_B[index.numpy()],
    )


def close(fused: Fit, reference: Fit) -> bool:
    """Whether two fits agree to float32 rounding."""
    weights = torch.isclose(fused.weights_BTP.cpu(), reference.weights_BTP, atol=2e-5, rtol=1e-4)
    losses = torch.isclose(fused.loss_BT.cpu(), reference.loss_BT, rtol=2e-4, atol=1e-9)
    return bool(weights.float().mean() > 0.995 and losses.all())


def _fit(task: bytes) -> bytes:
    return pickle.dumps(fused_gpu.fit(pickle.loads(task)))


@pytest.fixture
def interpreted(interpreter: ProcessPoolExecutor) -> Engine:
    """`fused_gpu.fit` in the interpreter's process."""

    def fit(whole: FitProblem) -> Fit:
        fitted: Fit = pickle.loads(interpreter.submit(_fit, pickle.dumps(whole)).result())
        return fitted

    return fit


@needs_triton
@pytest.mark.parametrize("name", SHOWN)
def test_options_do_what_they_do_in_the_reference(name: str, interpreted: Engine) -> None:
    inr, settings = OPTIONS[name]
    whole = asked(inr, **settings)
    plain = FitProblem(inr, *problem(inr, side=6), lr=1e-3, snapshots=[1, 3], products="ieee")
    fused, reference = interpreted(whole), loop.fit(replace(whole, products="auto"))
    assert close(fused, reference) and fused.loss_BT.isfinite().all()
    assert (fused.status_B == reference.status_B).all() and (fused.steps_BT == reference.steps_BT).all()
    assert not close(fused, loop.fit(replace(plain, products="auto"))), "the option should change the fit"


@needs_triton
def test_bits_depend_on_the_inr_alone_with_subsets_and_own_coordinates(
    interpreted: Engine,
) -> None:
    whole = asked(SIREN, own=True, point_weights_BK=POINT_WEIGHTS, snapshots=[5], lr=2e-2, **SUBSETS)
    first, last = (loop.fit(replace(whole, products="auto", snapshots=[steps])).psnr_BT[:, 0] for steps in (2, 5))
    whole = replace(whole, stop_psnr=float((first + last).median() / 2))
    together, order = interpreted(whole), torch.tensor([2, 0, 3, 1])
    assert {2, 5} <= set(together.steps_BT[:, 0].tolist()) <= {0, 2, 4, 5}, "they stop where all points are looked at"
    assert torch.equal(together.steps_BT, loop.fit(replace(whole, products="auto")).steps_BT)
    shuffled, alone = interpreted(part(whole, order)), interpreted(part(whole, torch.tensor([1])))
    for field in ("weights_BTP", "loss_BT", "steps_BT"):
        assert torch.equal(getattr(together, field)[order], getattr(shuffled, field))
        assert torch.equal(getattr(together, field)[1:2], getattr(alone, field))


def _drawn(step: int, count: int, num_coords: int) -> np.ndarray:
    from draw_kernel import draw_points

    indices = torch.zeros(len(KEYS), count, dtype=torch.int32)
    draw_points[(len(KEYS),)](torch.from_numpy(KEYS.view(np.int64)), indices, step, num_coords, COUNT=count)
    return indices.numpy()


@needs_triton
def test_draws_are_the_integers_of_the_reference(interpreter: ProcessPoolExecutor) -> None:
    for step, num_coords in ((0, 1000), (7, 1), (2**31 - 1, 2**31 - 1)):
        found = interpreter.submit(_drawn, step, 64, num_coords).result()
        np.testing.assert_array_equal(found, subsets.drawn(KEYS, step, 64, num_coords))


def test_a_loss_that_is_a_function_is_for_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_gpu, "unavailable", lambda inr, device: None)
    with pytest.raises(InrzooError, match=r"has the losses mse, bce, and takes no function; --engine reference"):
        fused_gpu.fit(asked(SIREN, loss=lambda values, targets: (values - targets).abs()))


def on_gpu(whole: FitProblem) -> FitProblem:
    names = ("starts_BP", "coords", "targets_BKC", "point_weights_BK")
    return replace(whole, **{name: None if (one := getattr(whole, name)) is None else one.cuda() for name in names})


@needs_gpu
@needs_triton
@pytest.mark.parametrize("name", OPTIONS)
def test_gpu_options_do_what_they_do_in_the_reference(name: str) -> None:
    inr, settings = OPTIONS[name]
    whole = asked(inr, **settings)
    fused, reference = fused_gpu.fit(on_gpu(whole)), loop.fit(replace(whole, products="auto"))
    assert close(fused, reference)
    assert (fused.steps_BT.cpu() == reference.steps_BT).all()
    assert fused.status_B.cpu().tolist() == reference.status_B.tolist() != [Status.PENDING] * 4


@needs_gpu
@needs_triton
def test_gpu_bits_depend_on_the_inr_alone_with_subsets_and_own_coordinates() -> None:
    whole = asked(SIREN, own=True, point_weights_BK=POINT_WEIGHTS, snapshots=[50], products="auto", **SUBSETS)
    order = torch.tensor([2, 0, 3, 1])
    together, shuffled = fused_gpu.fit(on_gpu(whole)), fused_gpu.fit(on_gpu(part(whole, order)))
    assert torch.equal(together.weights_BTP.cpu()[order], shuffled.weights_BTP.cpu())
