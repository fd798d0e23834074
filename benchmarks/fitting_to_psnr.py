"""INRs a second at a quality: the dataset's own settings, our recipes, and what a user would write instead.

Command:  python benchmarks/fitting_to_psnr.py [--dataset mnist --preset nfn --target-psnr 40 --cores 1]
Needs:    a C++ compiler; the dataset, fetched unless --source names its files. jax is compared with if it is installed.
Duration: about ten minutes for MNIST on one core; the plain loop takes most of it.

All fit the same training signals from the same starts, and take turns. Ours and the plain loop stop an INR at the PSNR;
what is compiled for a batch runs as many steps as 99 % of the INRs need with the same settings, which are those of the
preset for everything that is not a recipe. Writes fitting_to_psnr_DATASET_MACHINE_DATE.md to benchmarks/results.
"""

import argparse
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import fitting_compiled
import fitting_jax
import numpy as np
import torch
from fitting_peers import MANY
from fitting_plain import module_at
from quality_page import options as page_options
from quality_page import origin, write
from torch import Tensor, nn

from inrzoo import manifest
from inrzoo.bench.workloads import Workload
from inrzoo.builder.worker import random_draws
from inrzoo.errors import InrzooError
from inrzoo.fit.metrics import mse_at, psnr
from inrzoo.trials import Trials


@dataclass(frozen=True)
class Row:
    """INRs a second of one way to fit."""

    way: str
    settings: str
    steps: str
    reached: float
    inrs_per_second: float


def main() -> None:
    parser = page_options(__doc__)
    parser.add_argument("--cores", type=int, default=1, help="that everything has, by affinity")
    parser.add_argument("--signals", type=int, default=256, help="that ours fit")
    parser.add_argument("--loop-signals", type=int, default=8, help="that the plain loop fits, one after the other")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    torch.set_num_threads(options.cores)
    try:
        own = manifest.load(options.dataset, options.preset)
        lines = page(own, options)
    except InrzooError as error:
        parser.error(str(error))
    write(lines, "fitting_to_psnr", own.name, options.out)


def page(own: manifest.Manifest, options: argparse.Namespace) -> list[str]:
    """Measure, and return the lines of the page."""
    target, name = options.target_psnr, f"preset {own.preset}" if own.preset else "own settings"
    recipes = manifest.recipes_for(own.inr["name"])
    ways = {name: {}, **{f"recipe {recipe}": keys for recipe, keys in recipes.items()}}
    trials = Trials(own, options.source, target, max(options.signals, MANY, options.loop_signals), "cpu")
    compared = trials.compare(ways, options.signals, options.rounds)
    rows = [
        Row("inrzoo", way, f"{trial.mean_steps:.1f}", trial.reached, trial.inrs_per_second)
        for way, trial in compared.trials.items()
    ]
    workload = Workload("", "", trials.inr, sizes=tuple(trials.grid), lr=own.fit.lr)
    starts_BP = torch.from_numpy(random_draws(trials.inr, own.name, 0, trials.ids))
    targets_BKC = torch.from_numpy(trials.targets.values_BKC)
    coords_KD = torch.from_numpy(own.coords.grid(tuple(trials.grid)))
    limit, most = own.fit.steps, math.ceil(compared.trials[name].most_steps)
    loop = [
        plain_loop(workload, coords_KD, starts_BP[i], targets_BKC[i], own.values.range, target, limit)
        for i in range(options.loop_signals)
    ]
    rows.append(
        Row(
            "torch, one INR after the other",
            name,
            f"{np.mean([steps for steps, _, _ in loop]):.1f}",
            float(np.mean([reached for _, reached, _ in loop])),
            1 / float(np.mean([seconds for _, _, seconds in loop])),
        )
    )
    for way, prepare, unavailable in (
        ("torch.compile of a batched step", fitting_compiled.compiled, fitting_compiled.unavailable),
        ("JAX, jit of vmap, as fit-a-nef", fitting_jax.jitted, fitting_jax.unavailable),
    ):
        if reason := unavailable(workload):
            print(f"{way}: {reason}", file=sys.stderr)
            continue
        run = prepare(workload, starts_BP[:MANY], targets_BKC[:MANY])
        rate = MANY / seconds_of(run, min(most, limit), options.rounds)
        weights_BP = run(min(most, limit))
        values_BKC = trials.inr(weights_BP, coords_KD)
        mse_B = (values_BKC - targets_BKC[:MANY]).square().mean(dim=(1, 2))
        reached = float((psnr(mse_B, own.values.range) >= target).float().mean())
        rows.append(Row(way, name, f"{min(most, limit)}", reached, rate))
    slowest = next(row for row in rows if row.way.startswith("torch, one"))
    return [
        f"# {own.name} to {target:g} dB",
        "",
        f"{origin()}; {options.cores} core(s) for everything.",
        "",
        f"{own.inr['name']}, {trials.inr.layout.num_params} parameters, grid {'×'.join(map(str, trials.grid))}; ours: "
        f"{next(iter(compared.trials.values())).num_inrs} training signals, median of {options.rounds} rounds that "
        f"took turns; the loop: {options.loop_signals} of them; compiled: {MANY} of them. Compiling is not counted.",
        "",
        f"| way | settings | steps | at {target:g} dB | INRs/s | times the loop | all {compared.num_signals:,} |",
        "|---|---|---:|---:|---:|---:|---:|",
        *(
            f"| {row.way} | {row.settings} | {row.steps} | {row.reached:.1%} | {row.inrs_per_second:.3g} | "
            f"{row.inrs_per_second / slowest.inrs_per_second:.1f} | "
            f"{compared.num_signals / row.inrs_per_second / 60:.1f} min |"
            for row in rows
        ),
        "",
        "Steps are the mean over INRs (one that does not reach the PSNR counts twice its limit); those of a compiled "
        "batch are the 99 % quantile with the same settings, or their limit.",
        "",
    ]


def plain_loop(
    workload: Workload,
    coords_KD: Tensor,
    start_P: Tensor,
    target_KC: Tensor,
    value_range: tuple[float, float],
    target: float,
    limit: int,
) -> tuple[int, bool, float]:
    """The loop of published code for one INR, which stops at the PSNR: steps, whether it got there, and seconds."""
    model = module_at(workload.inr, start_P)
    adam = torch.optim.Adam(model.parameters(), lr=workload.lr)
    enough = mse_at(target, value_range)
    begun = time.perf_counter()
    for step in range(limit):
        adam.zero_grad()
        loss = nn.functional.mse_loss(model(coords_KD), target_KC)
        if loss.item() <= enough:
            return step, True, time.perf_counter() - begun
        loss.backward()
        adam.step()
    return 2 * limit, False, time.perf_counter() - begun


def seconds_of(run: Callable[[int], Tensor], steps: int, rounds: int) -> float:
    """Median wall time of a run, after a short one that compiles."""
    run(2)
    samples = []
    for _ in range(rounds):
        begun = time.perf_counter()
        run(steps)
        samples.append(time.perf_counter() - begun)
    return float(np.median(samples))


if __name__ == "__main__":
    main()
