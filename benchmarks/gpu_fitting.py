"""How fast INRs are fitted on a GPU: the fused kernel in each kind of product, a replayed graph, and torch alone.

Command:  python benchmarks/gpu_fitting.py [INRs] [steps]     Duration: about ten minutes at 4096 and 500.
Needs:    a CUDA device, and the extra `gpu`.
Workloads, all on 32×32 grids: W1 SIREN 2/32/32/1, W2 SIREN 2/64/64/64/64/1, W3 SIREN 2/32/32/3, W4 FourierNet of 3
filters of 16 units. Prints INR-steps per second of
  fused, bf16x3 | ieee | tf32   one program an INR (inrzoo.fit.fused_gpu)
  CUDA graph                    the reference's step, replayed (inrzoo.fit.cuda_graph)
  torch.compile                 the same batched step, compiled by torch, with torch's fused Adam
  reference                     eager batched autograd (inrzoo.fit.loop)
in turns, three rounds, the median; what each kind of product does to the PSNR of the same signals after 1,000 steps;
and, from the rate of W1, how long 973,800 INRs of 1,000 steps (Omniglot, 30 seeds) would take.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from inrzoo.bench.workloads import WORKLOADS, Workload
from inrzoo.choices import Products
from inrzoo.fit import FitProblem, cuda_graph, fused_gpu, loop

ROUNDS = 3
PRODUCTS: tuple[Products, ...] = ("bf16x3", "ieee", "tf32")
QUALITY_INRS, QUALITY_STEPS = 256, 1000
OMNIGLOT_INRS, OMNIGLOT_STEPS = 973_800, 1000

Problem = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def problem(workload: Workload, count: int, device: str) -> Problem:
    """Starts, the grid, and smooth random images in [-1, 1]."""
    return workload.starts(count).to(device), workload.coords().to(device), workload.signals(count).to(device)


def compiled_step(workload: Workload, tensors: Problem) -> Callable[[int], None]:
    """Fits for some steps by a loss compiled with torch.compile, always on the same weights."""
    inr, (starts, coords, targets) = workload.inr, tensors
    weights = starts.clone().requires_grad_()
    adam = torch.optim.Adam([weights], lr=workload.lr, fused=True)

    @torch.compile
    def loss(weights_BP: torch.Tensor) -> torch.Tensor:
        return (inr(weights_BP, coords) - targets).square().mean(dim=(1, 2)).sum()

    def fit(steps: int) -> None:
        for _ in range(steps):
            adam.zero_grad()
            loss(weights).backward()
            adam.step()

    return fit


def methods(workload: Workload, tensors: Problem, steps: int) -> dict[str, Callable[[], object]]:
    compiled = compiled_step(workload, tensors)
    whole = FitProblem(workload.inr, *tensors, lr=workload.lr, snapshots=[steps])
    return {
        **{f"fused, {products}": partial(fused_gpu.fit, replace(whole, products=products)) for products in PRODUCTS},
        "CUDA graph": partial(cuda_graph.fit, whole),
        "torch.compile": partial(compiled, steps),
        "reference": partial(loop.fit, whole),
    }


def seconds(work: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def rates(workload: Workload, count: int, steps: int, device: str) -> dict[str, float]:
    """INR-steps per second of every method that can serve this INR, compilation left out."""
    tensors = problem(workload, count, device)
    chosen = methods(workload, tensors, steps)
    if (reason := fused_gpu.unavailable(workload.inr, device)) is not None:
        print(f"  {reason}")
        chosen = {name: method for name, method in chosen.items() if not name.startswith("fused")}
    for method in chosen.values():
        method()  # compiles
    taken: dict[str, list[float]] = {name: [] for name in chosen}
    for _ in range(ROUNDS):
        for name, method in chosen.items():
            taken[name].append(seconds(method))
    return {name: count * steps / statistics.median(times) for name, times in taken.items()}


def quality(workload: Workload, device: str) -> None:
    """Mean PSNR of the same signals by the reference and by each kind of product."""
    tensors = problem(workload, QUALITY_INRS, device)
    whole = FitProblem(workload.inr, *tensors, lr=workload.lr, snapshots=[QUALITY_STEPS])
    reference = loop.fit(whole).psnr_BT
    print(f"  reference{'':14} {reference.mean():8.3f} dB after {QUALITY_STEPS} steps, {QUALITY_INRS} INRs")
    for products in PRODUCTS:
        psnr = fused_gpu.fit(replace(whole, products=products)).psnr_BT
        change = psnr - reference
        print(f"  fused, {products:16} {change.mean():+8.3f} dB, worst INR {change.min():+.3f} dB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "count", metavar="INRs", type=int, nargs="?", default=4096, help="fitted at once (default 4096)"
    )
    parser.add_argument("steps", type=int, nargs="?", default=500, help="of each fit (default 500)")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks/gpu_fitting.py needs a CUDA device; torch finds none", file=sys.stderr)
        return 2
    count, steps, device = options.count, options.steps, "cuda"
    print(f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}, {count} INRs × {steps} steps")
    for name, workload in WORKLOADS.items():
        print(f"{name} {workload.title}, {workload.inr.layout.num_params} parameters")
        measured = rates(workload, count, steps, device)
        for method, rate in measured.items():
            print(f"  {method:22} {rate:12.0f} INR-steps/s  {rate / measured['reference']:7.1f}×")
        if fused_gpu.unavailable(workload.inr, device) is None:
            quality(workload, device)
        if name == "W1" and "fused, bf16x3" in measured:
            minutes = OMNIGLOT_INRS * OMNIGLOT_STEPS / measured["fused, bf16x3"] / 60
            print(f"  {OMNIGLOT_INRS} INRs × {OMNIGLOT_STEPS} steps at this rate: {minutes:.1f} minutes (extrapolated)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
