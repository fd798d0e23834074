"""NT-Xent against the formula written out, view by view, in float64: docs/derivations/contrastive.md#nt-xent."""

import math

import pytest
import torch

from inrzoo.tasks.losses import nt_xent


def brute_force(first, second, temperature):
    """Eq. 6 of the contrastive paper, averaged over both orders of all positive pairs."""
    views, count = [*first.double(), *second.double()], len(first)

    def similarity(i, j):
        return float(views[i] @ views[j] / (views[i].norm() * views[j].norm()))

    total = 0.0
    for i in range(2 * count):
        j = i + count if i < count else i - count
        others = sum(math.exp(similarity(i, k) / temperature) for k in range(2 * count) if k != i)
        total -= math.log(math.exp(similarity(i, j) / temperature) / others)
    return total / (2 * count)


@pytest.mark.parametrize("count, features", [(1, 3), (2, 2), (5, 7), (16, 4)])
@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_it_equals_the_formula(count, features, temperature):
    generator = torch.Generator().manual_seed(count)
    first, second = torch.randn(2, count, features, generator=generator, dtype=torch.float64)
    expected = brute_force(first, second, temperature)
    assert abs(float(nt_xent(first, second, temperature)) - expected) < 1e-12 * max(1, expected)
    assert abs(float(nt_xent(first.float(), second.float(), temperature)) - expected) < 1e-4 * max(1, expected)


def test_closed_forms():
    """All views alike: log(2N − 1). Pairs on different axes: log(1 + (2N − 2) exp(−1/τ)). One pair: 0."""
    alike, axes = torch.ones(4, 6, dtype=torch.float64), torch.eye(4, 6, dtype=torch.float64)
    assert float(nt_xent(alike, alike, 0.3)) == pytest.approx(math.log(7), abs=1e-12)
    assert float(nt_xent(axes, 5 * axes, 0.3)) == pytest.approx(math.log(1 + 6 * math.exp(-1 / 0.3)), abs=1e-12)
    assert float(nt_xent(axes[:1], axes[1:2], 0.3)) == pytest.approx(0, abs=1e-12)


def test_gradient_and_symmetry():
    first, second = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda a, b: nt_xent(a, b, 0.5), (first.clone().requires_grad_(), second.clone().requires_grad_())
    )
    assert float(nt_xent(first, second, 0.5)) == pytest.approx(float(nt_xent(second, first, 0.5)), abs=1e-14)
