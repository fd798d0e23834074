"""Native attention and linear layers are torch's up to rounding, in training, and torch's own elsewhere."""

import pytest
import torch
from torch.nn import functional

from inrzoo.native import attention as native_attention
from inrzoo.native import library
from inrzoo.native.attention import attention
from inrzoo.native.linear import LEAST_PRODUCTS, Linear

needs_compiler = pytest.mark.skipif(library.unavailable() is not None, reason=str(library.unavailable()))


def by_torch(projected: torch.Tensor, num_heads: int) -> torch.Tensor:
    query, key, value = projected.unflatten(-1, (3, num_heads, -1)).permute(2, 0, 3, 1, 4)
    weights = torch.softmax(query @ key.mT / query.shape[-1] ** 0.5, dim=-1)
    return (weights @ value).transpose(1, 2).flatten(2)


def native(projected: torch.Tensor, num_heads: int) -> torch.Tensor:
    outputs = attention(projected, num_heads, training=True)
    assert "_Attention" in outputs.grad_fn.name()
    return outputs


def close(found: torch.Tensor, exact: torch.Tensor) -> bool:
    return bool((found.double() - exact).norm() <= 3e-6 * exact.norm())


@needs_compiler
@pytest.mark.parametrize(
    "batch, tokens, heads, features", [(2, 300, 2, 64), (1, 257, 3, 20), (2, 5, 2, 4), (3, 1, 1, 8)]
)
def test_attention_and_its_gradient(batch, tokens, heads, features, monkeypatch):
    monkeypatch.setattr(native_attention, "LEAST_PRODUCTS", 1)
    torch.manual_seed(0)
    projected = 2 * torch.randn(batch, tokens, 3 * heads * features)
    projected[0, 0] *= 20  # scores of hundreds, beyond the range of exp
    upstream = torch.randn(batch, tokens, heads * features)
    results = []
    for way, dtype in ((by_torch, torch.float64), (by_torch, torch.float32), (native, torch.float32)):
        given = projected.to(dtype, copy=True).requires_grad_()
        outputs = way(given, heads)
        outputs.backward(upstream.to(dtype))
        results.append((outputs.detach().double(), given.grad.double()))
    for exact, rounded, found in zip(*results, strict=True):
        assert (found - exact).norm() <= 3 * (rounded - exact).norm() + 1e-6 * exact.norm()


@needs_compiler
def test_bits_of_attention_do_not_depend_on_threads(monkeypatch):
    monkeypatch.setattr(native_attention, "LEAST_PRODUCTS", 1)
    projected = torch.randn(3, 70, 3 * 2 * 8, requires_grad=True)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            outputs = attention(projected, 2, training=True)
            results.append(torch.cat([outputs, *torch.autograd.grad(outputs.square().sum(), projected)], dim=-1))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


@needs_compiler
@pytest.mark.parametrize("bias", [False, True])
def test_linear_layers_and_both_of_their_derivatives(bias):
    torch.manual_seed(0)
    layer = Linear(70, 90, bias=bias)
    inputs = torch.randn(4, 60, 70, requires_grad=True)
    assert inputs.numel() * 90 >= LEAST_PRODUCTS
    results = []
    for exact in (False, True):
        layer = layer.to(torch.float64) if exact else layer
        given = inputs.double().detach().requires_grad_() if exact else inputs
        outputs = layer(given)
        assert ("_Linear" in outputs.grad_fn.name()) is not exact
        variables = [given, *layer.parameters()]
        gradients = torch.autograd.grad(outputs.sin().sum(), variables, create_graph=True)
        seconds = torch.autograd.grad(gradients[0].square().sum() + gradients[1].square().sum(), variables)
        results.append([outputs.detach(), *(part.detach() for part in gradients), *seconds])
    assert all(close(found, exact) for found, exact in zip(*results, strict=True))


def test_in_evaluation_mode_layers_are_those_of_torch(monkeypatch):
    monkeypatch.setattr(native_attention, "LEAST_PRODUCTS", 1)
    layer, inputs = Linear(128, 128).eval(), torch.randn(100, 128, requires_grad=True)
    projected = torch.randn(2, 9, 3 * 8, requires_grad=True)
    for found in (layer(inputs), attention(projected, 2, training=False)):
        assert not found.grad_fn.name().startswith(("_Linear", "_Attention"))
    with torch.no_grad():
        assert torch.equal(layer.train()(inputs), functional.linear(inputs, layer.weight, layer.bias))
        assert torch.equal(attention(projected, 2, training=True), attention(projected, 2, training=False))


def test_mixed_precision_is_left_to_torch():
    layer, inputs = Linear(128, 128), torch.randn(100, 128, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(inputs).dtype == torch.bfloat16
        assert attention(torch.randn(2, 99, 3 * 64, requires_grad=True), 2, training=True).dtype == torch.bfloat16


def test_without_a_compiler_one_warning_says_why_training_is_slower(monkeypatch, caplog) -> None:
    monkeypatch.setattr(library, "compiler", lambda: None)
    library.is_available.cache_clear()
    try:
        weight = torch.ones(2, 2, requires_grad=True)
        assert [library.trains_natively(True, weight) for _ in range(3)] == [False] * 3
        assert [record.message for record in caplog.records] == [
            "warning  training takes several times as long without native code: neither g++ nor clang++ is on the path"
        ]
    finally:
        library.is_available.cache_clear()
