"""What a fit can be asked for beyond plain Adam on a grid is, in the fused GPU engine, what the reference does.

In Triton's interpreter, as `test_fused_gpu`; and on a GPU where there is one.
"""

import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Any

import engine_truths
import numpy as np
import pytest
import torch
from engine_truths import FEATURES, SHAPES, featured, keys
from test_fused_gpu import needs_gpu, needs_triton

from inrzoo.errors import InrzooError
from inrzoo.fit import FitProblem, fused_gpu, loop, subsets
from inrzoo.fit.losses import squared_error
from inrzoo.fit.result import Fit
from inrzoo.inrs import INR
from inrzoo.inrs.gabor_net import GaborNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren

Engine = Callable[[FitProblem], Fit]

SIREN = Siren(**SHAPES, hidden_features=6)
GABOR = GaborNet(**SHAPES, hidden_features=5, num_filters=2)
ENCODED = ReluMlp(**SHAPES, hidden_features=6, encoding="positional")

OPTIMISER, POINTS = ("cosine", "decay", "clipping", "factors"), ("bce", "weights", "own coordinates", "subsets")
ASKED = [
    pytest.param(SIREN, OPTIMISER, id="optimiser"),
    pytest.param(GABOR, POINTS, id="points"),
    *(pytest.param(SIREN, (name,), id=name, marks=pytest.mark.slow) for name in FEATURES),
    pytest.param(GABOR, tuple(FEATURES), id="everything, Gabor", marks=pytest.mark.slow),
    pytest.param(ENCODED, POINTS[2:], id="own coordinates, encoded", marks=pytest.mark.slow),
]


def asked(inr: INR, *names: str, **settings: Any) -> FitProblem:
    """Two INRs on 36 points: for bce at logits of which e has no power in float32, for clipping below Adam's ε."""
    whole = featured(inr, *names, **({"count": 2, "side": 6, "snapshots": [1, 3], "products": "ieee"} | settings))
    if "clipping" in names:
        whole = replace(whole, max_grad_norm=1e-7)
    if "bce" in names:
        starts = whole.starts_BP.clone()
        starts[:, -1] = torch.tensor([120.0, -120.0]).repeat(len(starts) // 2)
        whole = replace(whole, starts_BP=starts, targets_BKC=whole.targets_BKC.clamp(0, 1))
    return whole


def reference(whole: FitProblem) -> Fit:
    return loop.fit(replace(whole, products="auto"))


def assert_like_the_reference(fused: Fit, whole: FitProblem) -> None:
    expected, plain = reference(whole), reference(asked(whole.inr))
    torch.testing.assert_close(fused.loss_BT.cpu(), expected.loss_BT, rtol=2e-4, atol=1e-9)
    close = torch.isclose(fused.weights_BTP.cpu(), expected.weights_BTP, atol=2e-5, rtol=1e-4)
    assert close.float().mean() > 0.995
    assert not torch.isclose(expected.weights_BTP, plain.weights_BTP, atol=2e-5, rtol=1e-4).float().mean() > 0.99
    assert torch.equal(fused.status_B.cpu(), expected.status_B) and torch.equal(fused.steps_BT.cpu(), expected.steps_BT)


def part(whole: FitProblem, index: list[int]) -> FitProblem:
    """The INRs with these numbers."""
    parts = list(whole.split(1))
    names = ("starts_BP", "coords", "targets_BKC", "point_weights_BK")
    tensors = {name: torch.cat([getattr(parts[i], name) for i in index]) for name in names}
    return replace(whole, **tensors, keys_B=np.concatenate([parts[i].keys_B for i in index]))


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
@pytest.mark.parametrize(("inr", "names"), ASKED)
def test_options_do_what_they_do_in_the_reference(inr: INR, names: tuple[str, ...], interpreted: Engine) -> None:
    whole = asked(inr, *names)
    assert_like_the_reference(interpreted(whole), whole)


@needs_triton
def test_an_inr_stops_and_has_its_bits_whatever_the_batch(interpreted: Engine) -> None:
    """With subsets and coordinates of its own; it stops where all points are looked at."""
    whole = asked(SIREN, *POINTS[1:], count=3, lr=5e-3, snapshots=[3])
    psnr_BT = reference(replace(whole, snapshots=[0, 1, 2])).psnr_BT
    whole = replace(whole, stop_psnr=float(psnr_BT[:, 1:].amin(dim=1).max()) - 0.01)
    first = int(psnr_BT[:, 1:].amin(dim=1).argmax())
    assert psnr_BT[first, 0] < whole.stop_psnr < psnr_BT[first, 1], "it could stop after a step, but looks after two"
    together, order = interpreted(whole), [2, 0, 1]
    assert together.steps_BT[first, 0] == 2 and 3 in together.steps_BT
    assert torch.equal(together.steps_BT, reference(whole).steps_BT)
    shuffled, alone = interpreted(part(whole, order)), interpreted(part(whole, [1]))
    for field in ("weights_BTP", "loss_BT", "steps_BT"):
        assert torch.equal(getattr(together, field)[order], getattr(shuffled, field))
        assert torch.equal(getattr(together, field)[1:2], getattr(alone, field))


def _drawn(step: int, count: int, num_coords: int) -> np.ndarray:
    from draw_kernel import draw_points

    indices = torch.zeros(3, count, dtype=torch.int32)
    draw_points[(3,)](torch.from_numpy(keys(3).view(np.int64)), indices, step, num_coords, COUNT=count)
    return indices.numpy()


@needs_triton
def test_draws_are_the_integers_of_the_reference(interpreter: ProcessPoolExecutor) -> None:
    assert (keys(3) >> np.uint64(63)).any(), "one key should be negative as a signed number"
    for step, num_coords in ((0, 1000), (7, 1), (2**31 - 1, 2**31 - 1)):
        found = interpreter.submit(_drawn, step, 64, num_coords).result()
        np.testing.assert_array_equal(found, subsets.drawn(keys(3), step, 64, num_coords))


def test_a_loss_that_is_a_function_is_for_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused_gpu, "unavailable", lambda inr, device: None)
    with pytest.raises(InrzooError, match=r"has the losses mse and bce; --engine reference serves"):
        fused_gpu.fit(asked(SIREN, loss=squared_error))


def on_gpu(whole: FitProblem) -> FitProblem:
    names = ("starts_BP", "coords", "targets_BKC", "point_weights_BK")
    return replace(whole, **{name: None if (one := getattr(whole, name)) is None else one.cuda() for name in names})


@needs_gpu
@needs_triton
@pytest.mark.parametrize(("inr", "names"), ASKED)
def test_gpu_options_do_what_they_do_in_the_reference(inr: INR, names: tuple[str, ...]) -> None:
    whole = asked(inr, *names)
    assert_like_the_reference(fused_gpu.fit(on_gpu(whole)), whole)


@needs_gpu
@needs_triton
def test_gpu_bits_depend_on_the_inr_alone_with_every_option() -> None:
    engine_truths.featured_bits_depend_on_the_inr_alone(lambda whole, threads=1: fused_gpu.fit(on_gpu(whole)))
