"""Native gradients, their derivatives and errors of perceptrons are those of autograd in double precision."""

import pytest
import torch

from inrzoo.fit import fused_cpu
from inrzoo.fit.metrics import mse
from inrzoo.inrs import INR
from inrzoo.inrs.fourier_net import FourierNet
from inrzoo.inrs.relu_mlp import ReluMlp
from inrzoo.inrs.siren import Siren
from inrzoo.native import curvature, library
from inrzoo.seeding import Stream

needs_compiler = pytest.mark.skipif(library.unavailable() is not None, reason=str(library.unavailable()))

MWT = Siren(in_features=2, out_features=1, convention="mwt", omega_0=10.0, hidden_features=128, hidden_layers=4)
INRS = [
    (MWT, 784),
    (Siren(in_features=3, out_features=4, hidden_features=40, hidden_layers=2), 101),
    (Siren(in_features=1, out_features=1, hidden_features=5, hidden_layers=0, bias_inside=False), 1),
    (Siren(in_features=2, out_features=3, hidden_features=33, output_offset=0.5, omega_hidden=7.0), 97),
    (ReluMlp(in_features=2, out_features=3, hidden_features=48, encoding="log_spaced", num_frequencies=5), 200),
    (ReluMlp(in_features=2, out_features=1, hidden_features=17, hidden_layers=0), 96),
]
"""INRs and numbers of coordinates: widths and tiles that vectors divide, and that they do not."""


def problem(inr: INR, num_coords: int, batch: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights, directions, coordinates and values of `batch` INRs."""
    torch.manual_seed(0)
    weights = torch.stack([torch.from_numpy(inr.init(Stream("init", "test", seed))) for seed in range(batch)])
    coords = torch.rand(num_coords, inr.in_features) * 2 - 1
    return weights, torch.randn_like(weights), coords, torch.rand(batch, num_coords, inr.out_features) * 2 - 1


def by_autograd(inr, weights, directions, coords, values):
    """Errors, gradients and derivatives of the gradients along directions, in float64."""
    weights = weights.double().requires_grad_()
    errors = mse(inr(weights, coords.double()), values.double())
    (gradients,) = torch.autograd.grad(errors.sum(), weights, create_graph=True)
    (products,) = torch.autograd.grad(gradients, weights, directions.double())
    return errors.detach(), gradients.detach(), products


def close(found: torch.Tensor, exact: torch.Tensor) -> bool:
    """Whether rows differ by less than rounding of float32 makes of sums of thousands."""
    return bool(((found.double() - exact).norm(dim=-1) <= 5e-6 * exact.norm(dim=-1)).all())


@needs_compiler
@pytest.mark.parametrize("inr, num_coords", INRS, ids=lambda value: str(value)[:40])
def test_gradients_and_curvature_are_those_of_autograd(inr, num_coords):
    weights, directions, coords, values = problem(inr, num_coords)
    errors, gradients, products = by_autograd(inr, weights, directions, coords, values)
    weights.requires_grad_()
    found = curvature.loss_gradients(inr, weights, coords, values)
    assert close(found.detach(), gradients)
    (product,) = torch.autograd.grad(found, weights, directions)
    assert close(product, products)
    own = curvature.squared_errors(inr, weights, coords, values)
    assert close(own.detach(), errors)
    upstream = torch.tensor([1.0, -2.0, 0.5])
    (gradient,) = torch.autograd.grad(own, weights, upstream)
    assert close(gradient, upstream.double()[:, None] * gradients)


@needs_compiler
@pytest.mark.parametrize("instructions", fused_cpu.INSTRUCTIONS)
def test_every_set_of_instructions_computes_the_same(instructions, monkeypatch):
    """Those for Arm are the compiler's own vectors, of four numbers, which every processor has."""
    runs_here = {"AVX512": ("AVX512", "AVX2", "NEON"), "AVX2": ("AVX2", "NEON"), "NEON": ("NEON",)}
    if instructions not in runs_here[fused_cpu.capability()]:
        pytest.skip(f"this processor has {fused_cpu.capability()}")
    monkeypatch.setattr(fused_cpu, "capability", lambda: instructions)
    inr, num_coords = INRS[3]
    weights, directions, coords, values = problem(inr, num_coords)
    _, gradients, products = by_autograd(inr, weights, directions, coords, values)
    weights.requires_grad_()
    found = curvature.loss_gradients(inr, weights, coords, values)
    assert close(found.detach(), gradients)
    assert close(torch.autograd.grad(found, weights, directions)[0], products)


@needs_compiler
def test_sums_over_many_coordinates_are_as_exact_as_autograds():
    inr = Siren(in_features=2, out_features=1, hidden_features=16, omega_0=5.0)
    weights, directions, coords, values = problem(inr, 30_000, batch=1)
    _, *exact = by_autograd(inr, weights, directions, coords, values)
    weights.requires_grad_()
    (plain,) = torch.autograd.grad(mse(inr(weights, coords), values).sum(), weights, create_graph=True)
    found = curvature.loss_gradients(inr, weights, coords, values)
    errors = []
    for gradients in (found, plain):
        (products,) = torch.autograd.grad(gradients, weights, directions)
        pairs = zip((gradients.detach(), products), exact, strict=True)
        errors.append([float((rounded - other).norm()) for rounded, other in pairs])
    assert all(native <= autograd for native, autograd in zip(*errors, strict=True))


@needs_compiler
def test_errors_can_be_differentiated_twice():
    inr, num_coords = INRS[1]
    weights, directions, coords, values = problem(inr, num_coords)
    _, gradients, products = by_autograd(inr, weights, directions, coords, values)
    weights.requires_grad_()
    errors = curvature.squared_errors(inr, weights, coords, values)
    (found,) = torch.autograd.grad(errors.sum(), weights, create_graph=True)
    assert close(found.detach(), gradients)
    (product,) = torch.autograd.grad(found, weights, directions)
    assert close(product, products)


@needs_compiler
def test_each_inr_may_have_coordinates_of_its_own():
    inr, num_coords = INRS[1]
    weights, _, coords, values = problem(inr, num_coords)
    moved = torch.stack([coords, coords.flip(0), 0.5 * coords])
    together = curvature.loss_gradients(inr, weights, moved, values)
    alone = [
        curvature.loss_gradients(inr, weights[i : i + 1], own, values[i : i + 1])[0] for i, own in enumerate(moved)
    ]
    assert torch.equal(together, torch.stack(alone))


@needs_compiler
def test_bits_do_not_depend_on_threads():
    inr, num_coords = INRS[1]
    weights, directions, coords, values = problem(inr, num_coords, batch=5)
    weights.requires_grad_()
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found = curvature.loss_gradients(inr, weights, coords, values)
            results.append(torch.cat([found, *torch.autograd.grad(found, weights, directions)]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


@needs_compiler
def test_what_is_not_a_number_stays_so():
    inr, num_coords = INRS[4]
    weights, _, coords, values = problem(inr, num_coords)
    weights[1, 0] = torch.nan
    found = curvature.loss_gradients(inr, weights, coords, values)
    assert found[1].isnan().any()
    assert found[[0, 2]].isfinite().all()


def test_what_native_code_does_not_serve_is_said():
    network = FourierNet(in_features=2, out_features=1)
    weights = torch.zeros(1, network.layout.num_params)
    assert "FourierNet is no perceptron" in str(curvature.unsuitable(network, weights, 784))
    double = torch.zeros(1, MWT.layout.num_params, dtype=torch.float64)
    assert "torch.float64 on cpu" in str(curvature.unsuitable(MWT, double, 784))
    assert "3 coordinates" in str(curvature.unsuitable(MWT, double.float(), 3))
