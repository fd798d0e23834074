"""The arithmetic of a step, against the numbers that it was first counted with by hand."""

import pytest
import torch
from fitting_plain import module

from inrzoo.bench.workloads import WORKLOADS
from inrzoo.coords import grid


@pytest.mark.parametrize(
    "name, num_params, mflop, sincos",
    [("W1", 1185, 6.75, 65536), ("W2", 12737, 76.41, 262144), ("W3", 1251, 7.14, 65536), ("W4", 705, 3.64, 49152)],
)
def test_products_and_sines_of_a_step(name: str, num_params: int, mflop: float, sincos: int) -> None:
    workload = WORKLOADS[name]
    assert workload.inr.layout.num_params == num_params
    assert round(workload.flops / 1e6, 2) == mflop
    assert workload.sincos == sincos


@pytest.mark.parametrize("name", WORKLOADS)
def test_products_are_those_that_torch_counts(name: str) -> None:
    """torch's own counter over forward and backward pass of the plain module."""
    from torch.utils.flop_counter import FlopCounterMode

    workload = WORKLOADS[name]
    with FlopCounterMode(display=False) as counter:
        module(workload.inr)(workload.coords()).square().mean().backward()
    assert counter.get_total_flops() == workload.flops


def test_signals_are_smooth_different_and_always_the_same() -> None:
    workload = WORKLOADS["W3"]
    signals = workload.signals(3)
    assert signals.shape == (3, 1024, 3) and signals.abs().max() <= 1 and signals.std() > 0.2
    torch.testing.assert_close(workload.signals(2, first=1), signals[1:], rtol=0, atol=0)
    torch.testing.assert_close(workload.starts(2, first=1), workload.starts(3)[1:], rtol=0, atol=0)
    assert not torch.equal(signals[0], signals[1])
    image = signals.reshape(3, 32, 32, 3)
    assert (image[:, 1:] - image[:, :-1]).abs().mean() < 0.5 * (image - image.mean(dim=(1, 2), keepdim=True)).std()
    assert (workload.coords().numpy() == grid((32, 32))).all()
