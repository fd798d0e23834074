"""Everything about fitting that can only be learned on a GPU, the most important first, in about eight minutes.

Command:  python benchmarks/gpu.py [--parts NAME,NAME] [--device cuda|cpu] [--out FOLDER]
          The first time without options; the same command continues where an earlier one ended.
Needs:    a CUDA device, the extras `gpu` and `compiler`, and pytest.
Parts, each written to benchmarks/results/gpu_<device>.json when it is done, and not measured again:
  tests      the tests that need a GPU
  agreement  triton and cuda_graph against the engine for cores: loss, gradient, PSNR after 1,000 steps
  launch     INR-steps/s by the number of INRs of a launch: how many fill the GPU
  speed      INR-steps/s, and INRs/s that reach 40 dB, of W1 to W4 in the triton engine
  peers      the same INR-steps/s by torch.func.vmap, torch.compile, the reference and a replayed graph
  products   what each kind of product costs in time and in PSNR
  bits       whether an INR's bits are the same in another batch and in another order
W1 to W4 are those of `inrzoo bench`. No part begins `--seconds` after the start; the same command measures the rest.
With `--device cpu` all parts run in Triton's interpreter, at a tiny size: this shows that they work, and no speed.
"""

import argparse
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
import xml.etree.ElementTree
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import fitting_compiled
import fitting_plain
import numpy as np
import torch

from inrzoo.bench import machine
from inrzoo.bench.workloads import WORKLOADS, Workload
from inrzoo.choices import Products, Status
from inrzoo.errors import InrzooError
from inrzoo.fit import FitProblem, cuda_graph, engines, fused_gpu, loop
from inrzoo.fit.result import Fit
from inrzoo.seeding import Stream
from inrzoo.store.files import write_atomically

ROOT = Path(__file__).parents[1]
TESTS = ("test_fused_gpu", "test_fused_gpu_options", "test_cuda_graph")
PRODUCTS: tuple[Products, ...] = ("bf16x3", "ieee", "tf32")
STOP_PSNR, COMPARED_BELOW = 40.0, 55.0
"""dB. Above the second two correct programs in float32 disagree."""


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        workloads: names in `inrzoo.bench`.
        side: of the grids, in points.
        launches: INRs of a launch.
        inrs, steps: of a fit whose speed is taken.
        peers: INRs of a fit by the slower ways.
        rounds: of which the median is taken.
        compared, long: INRs and steps of fits whose quality is compared.
        limit: steps after which an INR has not reached `STOP_PSNR`.
    """

    workloads: tuple[str, ...] = tuple(WORKLOADS)
    side: int = 32
    launches: tuple[int, ...] = (64, 256, 1024, 4096, 16384)
    inrs: int = 4096
    steps: int = 200
    peers: int = 1024
    rounds: int = 3
    compared: int = 64
    long: int = 1000
    limit: int = 2000


FULL = Size()
TINY = Size(
    workloads=("W1", "W4"), side=4, launches=(1, 2), inrs=2, steps=2, peers=2, rounds=1, compared=2, long=2, limit=3
)


@dataclass(frozen=True)
class OnDevice(Workload):
    """A workload whose grid is on a device, for the ways to fit of `inrzoo.bench`."""

    device: str = "cuda"

    def coords(self) -> torch.Tensor:
        """Shape (K, D)."""
        return super().coords().to(self.device)


@dataclass(frozen=True)
class Bench:
    """The device, and the sizes of what is measured on it."""

    device: str
    size: Size

    def workloads(self) -> dict[str, Workload]:
        """Those of `size` on grids of its size, on the device."""
        sizes = (self.size.side, self.size.side)
        chosen = {name: WORKLOADS[name] for name in self.size.workloads}
        return {
            name: OnDevice(name, one.title, one.inr, sizes=sizes, lr=one.lr, device=self.device)
            for name, one in chosen.items()
        }

    def problem(self, workload: Workload, count: int, device: str | None = None, **settings: Any) -> FitProblem:
        """The first INRs of a workload."""
        tensors = (workload.starts(count), workload.coords(), workload.signals(count))
        moved = [tensor.to(device or self.device) for tensor in tensors]
        return FitProblem(workload.inr, *moved, **({"lr": workload.lr} | settings))

    def fit(self, name: str, problem: FitProblem) -> Fit:
        """Fit by an engine; on a CPU the step that cuda_graph records is called."""
        if name == "cuda_graph" and self.device == "cpu":
            return loop.in_batches(cuda_graph.fit_batch, problem)
        return engines.engine(name).fit(problem)

    def synchronize(self) -> None:
        """Wait for the device."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], object]) -> float:
        """Median time of a call, without that of the first one, which compiles."""
        work()
        taken = []
        for _ in range(self.size.rounds):
            self.synchronize()
            started = time.perf_counter()
            work()
            self.synchronize()
            taken.append(time.perf_counter() - started)
        return statistics.median(taken)

    def rate(self, name: str, problem: FitProblem) -> float:
        """INR-steps/s of an engine."""
        took = self.seconds(partial(self.fit, name, problem))
        return round(len(problem.starts_BP) * problem.snapshots[-1] / took, 1)


def tests(bench: Bench) -> dict[str, Any]:
    """Numbers of passed, failed and skipped tests, and the first line of each failure."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        files = [str(ROOT / "tests" / "fit" / f"{name}.py") for name in TESTS]
        options = ["-m", "", "-k", "test_gpu", "-p", "no:cacheprovider", f"--junitxml={report}"]
        workers = ["-n", str(min(8, len(os.sched_getaffinity(0))) if bench.device == "cuda" else 0)]
        environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
        command = [sys.executable, "-m", "pytest", *files, *options, *workers]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        if not report.exists():
            raise InrzooError(f"pytest ended without a report: {done.stdout[-500:]}{done.stderr[-500:]}")
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            broken = [child for child in case if child.tag in ("failure", "error")]
            outcome = "failed" if broken else "skipped" if case.find("skipped") is not None else "passed"
            counts[outcome] += 1
            if broken:
                failures[str(case.get("name"))] = str(broken[0].get("message")).partition("\n")[0][:300]
    return {**counts, "failures": failures}


def agreement(bench: Bench) -> dict[str, Any]:
    """Largest differences of the GPU engines from the engine for cores, and of gradients from autograd in float64."""
    result: dict[str, Any] = {}
    for name, workload in bench.workloads().items():
        snapshots = [0, bench.size.long]
        here = bench.problem(workload, bench.size.compared, "cpu", snapshots=snapshots)
        cores, _ = engines.choose("auto", workload.inr, "cpu")
        expected = engines.engine(cores).fit(here, threads=len(os.sched_getaffinity(0)))
        compared = expected.psnr_BT[:, 1] < COMPARED_BELOW
        result[name] = {"engine for cores": cores, "compared": int(compared.sum())}
        for engine in ("triton", "cuda_graph"):
            fitted = bench.fit(engine, bench.problem(workload, bench.size.compared, snapshots=snapshots))
            start, end = (fitted.loss_BT[:, 0].cpu(), fitted.psnr_BT[:, 1].cpu())
            apart = (end - expected.psnr_BT[:, 1])[compared].abs()
            result[name][engine] = {
                "loss at the start, relative": float((start / expected.loss_BT[:, 0] - 1).abs().max()),
                "PSNR, dB": float(apart.max()) if len(apart) else None,
            }
        result[name]["triton"]["gradient, relative"] = {
            products: gradient_error(bench, workload, products) for products in PRODUCTS
        }
    return result


def gradient_error(bench: Bench, workload: Workload, products: Products) -> float:
    """Relative L2 error of the triton engine's gradients against autograd in float64.

    With an ε far above every gradient, Adam's first step is lr/ε times the gradient.
    """
    problem = bench.problem(workload, bench.size.compared, lr=1e11, snapshots=[1], products=products)
    usual, fused_gpu.EPSILON = fused_gpu.EPSILON, 1e8
    try:
        fitted = fused_gpu.fit(problem)
    finally:
        fused_gpu.EPSILON = usual
    exact = problem.starts_BP.double().requires_grad_()
    values = workload.inr(exact, problem.coords.double())
    (values - problem.targets_BKC.double()).square().mean(dim=(1, 2)).sum().backward()
    assert exact.grad is not None
    found = (problem.starts_BP.double() - fitted.weights_BTP[:, 0].double()) / 1e3
    return float((found - exact.grad).norm() / exact.grad.norm())


def launch(bench: Bench) -> dict[str, Any]:
    """INR-steps/s of the triton engine by the number of INRs of a launch."""
    result: dict[str, Any] = {}
    for name, workload in bench.workloads().items():
        whole = bench.problem(workload, max(bench.size.launches), snapshots=[bench.size.steps])
        firsts = {count: next(whole.split(count)) for count in bench.size.launches}
        result[name] = {str(count): bench.rate("triton", first) for count, first in firsts.items()}
    return result


def speed(bench: Bench) -> dict[str, Any]:
    """INR-steps/s, and INRs/s that reach `STOP_PSNR`, of the triton engine."""
    result: dict[str, Any] = {}
    for name, workload in bench.workloads().items():
        problem = bench.problem(workload, bench.size.inrs, snapshots=[bench.size.steps])
        stopping = replace(problem, snapshots=[bench.size.limit], stop_psnr=STOP_PSNR)
        fitted = bench.fit("triton", stopping)
        took = bench.seconds(partial(bench.fit, "triton", stopping))
        reached = int((fitted.status_B == Status.EARLY_STOP).sum())
        result[name] = {
            "INR-steps/s": bench.rate("triton", problem),
            "INRs/s at 40 dB": round(reached / took, 1),
            "share that reaches 40 dB": reached / bench.size.inrs,
            "steps, mean": float(fitted.steps_BT[:, -1].float().mean()),
        }
    return result


def peers(bench: Bench) -> dict[str, Any]:
    """INR-steps/s of other ways to fit on the same device, and of the triton engine with as many INRs."""
    result: dict[str, Any] = {}
    for name, workload in bench.workloads().items():
        problem = bench.problem(workload, bench.size.peers, snapshots=[bench.size.steps])
        rates: dict[str, Any] = {
            engine: bench.rate(engine, problem) for engine in ("triton", "cuda_graph", "reference")
        }
        for way, prepare, reason in (
            ("vmap", fitting_plain.vmapped, None),
            ("torch.compile", fitting_compiled.compiled, fitting_compiled.unavailable(workload)),
        ):
            if reason is not None:
                rates[way] = reason
                continue
            run = prepare(workload, problem.starts_BP, problem.targets_BKC)
            took = bench.seconds(partial(run, bench.size.steps))
            rates[way] = round(bench.size.peers * bench.size.steps / took, 1)
        result[name] = rates
    return result


def products(bench: Bench) -> dict[str, Any]:
    """INR-steps/s with each kind of product, and the change of PSNR against the reference on the same device."""
    result: dict[str, Any] = {}
    for name, workload in bench.workloads().items():
        fast = bench.problem(workload, bench.size.inrs, snapshots=[bench.size.steps])
        whole = bench.problem(workload, bench.size.compared, snapshots=[bench.size.long])
        reference = loop.fit(whole).psnr_BT
        result[name] = {"reference, dB": float(reference.mean())}
        for kind in PRODUCTS:
            change = fused_gpu.fit(replace(whole, products=kind)).psnr_BT - reference
            result[name][kind] = {
                "INR-steps/s": bench.rate("triton", replace(fast, products=kind)),
                "mean change, dB": float(change.mean()),
                "worst change, dB": float(change.min()),
            }
    return result


def bits(bench: Bench) -> dict[str, Any]:
    """Whether INRs have the same bits in another order, in other launches and alone."""
    result: dict[str, Any] = {}
    count = min(300, bench.size.inrs)
    order = np.random.default_rng(0).permutation(count)
    keys = np.array([Stream("key", "benchmark", 0, str(i)).word() for i in range(count)], dtype=np.uint64)
    for name, workload in bench.workloads().items():
        whole = bench.problem(workload, count, snapshots=[bench.size.steps])
        own = whole.coords * torch.linspace(0.5, 1, count, device=bench.device)[:, None, None]
        drawn = replace(whole, coords=own, num_coords=whole.num_points // 2, keys_B=keys, evaluate_every=50)
        result[name] = {
            "all coordinates": same_bits(whole, order),
            "own coordinates, of which half are drawn": same_bits(drawn, order),
        }
    return result


def same_bits(whole: FitProblem, order: np.ndarray) -> bool:
    """Whether a problem, a permuted one in small launches, and its first INR alone give the same weights."""
    together = fused_gpu.fit(whole).weights_BTP
    index = torch.from_numpy(order).to(together.device)
    permuted = replace(
        whole,
        starts_BP=whole.starts_BP[index],
        targets_BKC=whole.targets_BKC[index],
        coords=whole.coords if whole.shared_coords else whole.coords[index],
        keys_B=None if whole.keys_B is None else whole.keys_B[order],
    )
    shuffled = torch.cat([fused_gpu.fit(part).weights_BTP for part in permuted.split(77)])
    alone = fused_gpu.fit(next(whole.split(1))).weights_BTP
    return torch.equal(together[index], shuffled) and torch.equal(together[:1], alone)


PARTS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    part.__name__: part for part in (tests, agreement, launch, speed, peers, products, bits)
}


def device_of(device: str) -> dict[str, object]:
    """The machine, the device, and versions."""
    import triton

    name = torch.cuda.get_device_name() if device == "cuda" else "Triton's interpreter"
    versions = {"triton": triton.__version__, "cuda": torch.version.cuda}
    return {"device": name, **versions, **machine.describe()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help="names, separated by commas (default: all)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the results")
    parser.add_argument("--seconds", type=float, default=480, help="after which no part begins (default 480)")
    options = parser.parse_args()
    chosen = options.parts.split(",")
    if unknown := set(chosen) - PARTS.keys():
        parser.error(f"--parts {','.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    if options.device == "cuda" and not torch.cuda.is_available():
        print("benchmarks/gpu.py needs a CUDA device; torch finds none", file=sys.stderr)
        return 2
    if options.device == "cpu":
        os.environ["TRITON_INTERPRET"] = "1"  # before triton is imported
        runpy.run_path(str(ROOT / "tests" / "fit" / "emulated_products.py"))["install"]()
    bench = Bench(options.device, FULL if options.device == "cuda" else TINY)
    described, began, failed = device_of(options.device), time.monotonic(), 0
    slug = str(described["device"]).lower().replace("'", "").replace(" ", "-")
    path = options.out / f"gpu_{slug}.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"machine": described, "parts": {}}
    for name in chosen:
        if name in results["parts"]:
            print(f"{name}: measured on {results['parts'][name]['date']}; see {path}")
            continue
        if time.monotonic() - began > options.seconds:
            print(f"{name}: no time is left; the same command measures it")
            failed = 1
            continue
        started = time.monotonic()
        try:
            measured = PARTS[name](bench)
        except Exception:  # the other parts are worth having
            print(f"{name} failed:", file=sys.stderr)
            traceback.print_exc()
            failed = 1
            continue
        seconds = round(time.monotonic() - started, 1)
        results["parts"][name] = {"date": date.today().isoformat(), "seconds": seconds, "results": measured}
        write_atomically(path, (json.dumps(results, indent=2) + "\n").encode())
        print(f"{name}: {seconds} s\n{json.dumps(measured, indent=2)}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
