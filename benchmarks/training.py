"""How long a training step takes: inrzoo's beside the plain writing of the same step, at the papers' sizes.

Command:  python benchmarks/training.py [METHOD …] [--rounds 5] [--out benchmarks/results]     Duration: 10 minutes.
Needs:    a C++ compiler, 6 GiB of memory; no data: pictures are random waves, weights random.

A step is forward, backward and AdamW, on one thread. The plain writing (`training_plain.py`) is autograd as the papers'
code uses it, on the parameters of the same network; before anything is timed both gradients are compared. Then both
take turns, round by round, in one process, and their processor time is taken: of each round the ratio, of the rounds
the median and the range, since other work on the machine slows both alike. Memory is the greatest of a process that
takes two steps of one kind, without what it held before them. `--work FILE` keeps each method as soon as it is measured
and skips what it holds, so that an interrupted run goes on.

Shape letters: B batch of signals, K coordinates, C channels.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import torch
import training_plain as plain
from quality_page import publish
from torch import Tensor, nn

from inrzoo import registry
from inrzoo.bench.machine import describe, in_a_line
from inrzoo.coords import grid
from inrzoo.inrs import INR
from inrzoo.inrs.siren import Siren
from inrzoo.tasks.reporting.tables import table

Step = Callable[[], None]
Sizes = tuple[int, int]
"""Side of the pictures and batch, each 0 for the method's own."""
Steps = tuple[nn.Module, Step, Step]
"""A network, inrzoo's step and the plain one; both leave gradients in its parameters."""

FFNET = {
    "name": "relu_mlp",
    "hidden_features": 256,
    "hidden_layers": 3,
    "encoding": "log_spaced",
    "num_frequencies": 64,
}
MWT = {"name": "siren", "convention": "mwt", "omega_0": 10.0, "hidden_features": 128, "hidden_layers": 4}
TANCIK = {"name": "siren", "hidden_features": 256, "hidden_layers": 3}


def signals(size: int, batch: int, channels: int) -> tuple[Tensor, Tensor]:
    """Coordinates (K, 2) and values (B, K, C) of waves. In gradients of noise rounding would stand out."""
    coords_KD = torch.from_numpy(grid((size, size)))
    return coords_KD, torch.sin(coords_KD @ (5 * torch.randn(batch, 2, channels)))


def network(spec: dict[str, Any], inr: dict[str, Any], size: int, channels: int, **runtime: int) -> Any:
    """A hypernetwork in training mode."""
    made: INR = registry.make("inrs", inr, in_features=2, out_features=channels)
    return registry.make("hypernets", spec, inr=made, sizes=(size, size), **runtime).train()


def mwt(side: int, batch: int, channels: int) -> Steps:
    """MWT: six inner steps on all pixels, classifier of 10 blocks."""
    coords, values = signals(side, batch, channels)
    labels = torch.randint(10, (batch,))
    made = network({"name": "end_to_end"}, MWT, side, channels, num_classes=10)

    def ours() -> None:
        task_B, errors_B, _ = made.losses(coords, values, labels)
        (task_B + errors_B).mean().backward()

    return made, ours, lambda: plain.step_of_mwt(made, coords, values, labels)


def by_gradients(side: int, batch: int, spec: dict[str, Any], inr: dict[str, Any]) -> Steps:
    """Learned Init or CAVIA."""
    coords, values = signals(side, batch, 3)
    made = network(spec, inr, side, 3)

    def ours() -> None:
        made.loss(coords, values).mean().backward()

    return made, ours, lambda: plain.step_of_gradients(made, coords, values)


def by_tokens(side: int, batch: int, spec: dict[str, Any], sigma: float) -> Steps:
    """TransINR or GINR-IPC on patches of 9²."""
    coords, values = signals(side, batch, 3)
    made = network(spec, FFNET | {"sigma": sigma}, side, 3)

    def ours() -> None:
        made.loss(coords, values).mean().backward()

    return made, ours, lambda: plain.step_of_tokens(made, coords, values)


def relational(side: int, batch: int) -> Steps:
    """The relational transformer of neural-graphs, with a classifier, on SIRENs 2/32/32/1."""
    inr = Siren(in_features=2, out_features=1)
    encoder: Any = registry.make("encoders", {"name": "relational_transformer"}, layout=inr.layout)
    head = nn.Linear(encoder.out_features, 10)
    weights, labels = torch.randn(batch, inr.layout.num_params), torch.randint(10, (batch,))

    def step(features: Callable[[Tensor], Tensor]) -> None:
        nn.functional.cross_entropy(head(features(weights)), labels).backward()

    made = nn.Sequential(encoder, head).train()
    return made, lambda: step(encoder), lambda: step(lambda given: plain.features_of(encoder, given))


METHODS: dict[str, tuple[str, int, int, Callable[[int, int], Steps]]] = {
    "mwt-28": ("MWT, 16 pictures of 28², SIREN 2/128×5/1, 6 steps", 28, 16, partial(mwt, channels=1)),
    "mwt-32": ("MWT, 16 pictures of 32² in colour, SIREN 2/128×5/3, 6 steps", 32, 16, partial(mwt, channels=3)),
    "relational": ("relational transformer, 16 SIRENs 2/32/32/1", 0, 16, relational),
    "trans_inr": (
        "TransINR, a picture of 178², ReLU MLP 256×4",
        178,
        1,
        partial(by_tokens, spec={"name": "trans_inr"}, sigma=1024.0),
    ),
    "instance_patterns": (
        "GINR-IPC, a picture of 178², ReLU MLP 256×4, without dropout",
        178,
        1,
        partial(by_tokens, spec={"name": "instance_patterns", "dropout": 0.0}, sigma=128.0),
    ),
    "learned_init": (
        "Learned Init by MAML, a picture of 178², SIREN 2/256×4/3, 2 steps",
        178,
        1,
        partial(by_gradients, spec={"name": "learned_init"}, inr=TANCIK),
    ),
    "cavia": (
        "GINR-IPC by gradient steps (CAVIA), a picture of 178², ReLU MLP 256×4, 2 steps",
        178,
        1,
        partial(by_gradients, spec={"name": "cavia"}, inr=FFNET | {"sigma": 128.0}),
    ),
}
"""Method -> (title, side of the pictures, batch, its steps)."""


def steps_of(name: str, sizes: Sizes) -> Steps:
    """The steps of a method on random numbers, the same at every call."""
    torch.manual_seed(0)
    _, side, batch, make = METHODS[name]
    return make(sizes[0] or side, sizes[1] or batch)


def gradients_of(made: nn.Module, step: Step) -> Tensor:
    """All gradients that a step leaves, in a row; they are removed."""
    step()
    found = [parameter.grad.flatten() for parameter in made.parameters() if parameter.grad is not None]
    made.zero_grad(set_to_none=True)
    return torch.cat(found)


def measured(name: str, sizes: Sizes, rounds: int) -> dict[str, Any]:
    """Compare both gradients, then time both steps in turn, and take the memory of each."""
    made, *steps = steps_of(name, sizes)
    plain.encoding_type = torch.float64
    ours, theirs = (gradients_of(made, step) for step in steps)
    plain.encoding_type = torch.float32
    difference = float((ours - theirs).norm() / theirs.norm())
    optimiser = torch.optim.AdamW(made.parameters(), lr=1e-6)
    seconds: list[list[float]] = [[], []]
    for _ in range(rounds):
        for kind, step in enumerate(steps):
            begun = time.process_time()
            optimiser.zero_grad(set_to_none=True)
            step()
            optimiser.step()
            seconds[kind].append(time.process_time() - begun)
    gib = [float(_of_a_process(name, sizes, kind)) for kind in range(2)]
    return {"difference": difference, "seconds": seconds, "gib": gib}


def _of_a_process(name: str, sizes: Sizes, kind: int) -> str:
    side, batch = map(str, sizes)
    command = [sys.executable, __file__, name, "--side", side, "--batch", batch, "--memory", str(kind)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def gib_of_steps(name: str, sizes: Sizes, kind: int) -> float:
    """What two steps of one kind take at most, with the optimiser's moments."""
    made, *steps = steps_of(name, sizes)
    before = peak_gib()
    optimiser = torch.optim.AdamW(made.parameters(), lr=1e-6)
    for _ in range(2):
        optimiser.zero_grad(set_to_none=True)
        steps[kind]()
        optimiser.step()
    return peak_gib() - before


def peak_gib() -> float:
    """The most memory that this process held. (`getrusage` begins with that of the process that started it.)"""
    found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 2**20


def row(name: str, found: dict[str, Any]) -> list[str]:
    """A line of the table."""
    ours, theirs = found["seconds"]
    ratios = [slow / fast for fast, slow in zip(ours, theirs, strict=True)]
    times = [f"{statistics.median(part):.2f}" for part in (theirs, ours)]
    spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
    return [
        METHODS[name][0],
        *times,
        spread,
        *(f"{gib:.2f}" for gib in reversed(found["gib"])),
        f"{found['difference']:.0e}",
    ]


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=f"of {', '.join(METHODS)}; all by default")
    parser.add_argument("--rounds", type=int, default=5, help="steps of each kind that are timed")
    parser.add_argument(
        "--side", type=int, default=0, help="points along a side of the pictures, for a trial; 0: as listed"
    )
    parser.add_argument("--batch", type=int, default=0, help="pictures or INRs of a step, for a trial; 0: as listed")
    parser.add_argument("--work", type=Path, help="file that keeps what was measured")
    parser.add_argument("--out", type=Path, help="folder of the results; printed alone if left out")
    parser.add_argument("--memory", type=int, choices=(0, 1), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if unknown := set(chosen.methods) - METHODS.keys():
        parser.error(f"unknown methods: {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    torch.set_num_threads(1)
    sizes = (chosen.side, chosen.batch)
    if chosen.memory is not None:
        print(gib_of_steps(chosen.methods[0], sizes, chosen.memory))
        return
    done = json.loads(chosen.work.read_text()) if chosen.work is not None and chosen.work.exists() else {}
    for name in chosen.methods or METHODS:
        if name not in done:
            done[name] = measured(name, sizes, chosen.rounds)
            if chosen.work is not None:
                chosen.work.write_text(json.dumps(done))
            print(row(name, done[name]), flush=True)
    fewest = min(len(found["seconds"][0]) for found in done.values())
    columns = ["a step", "plain, s", "inrzoo, s", "plain / inrzoo", "plain, GiB", "inrzoo, GiB", "gradients differ by"]
    lines = [
        "# Training steps",
        "",
        *(["A trial: sides and batches are not those named.", ""] if any(sizes) else []),
        f"{in_a_line(describe())}, {date.today()}. `python benchmarks/training.py`: "
        f"seconds of processor time, medians of {fewest} rounds or more in turn, the range of the rounds' ratios in "
        "brackets; the relative difference of both gradients, all parameters together, where both encode coordinates "
        "in float64.",
        "",
        *table(columns, [row(name, done[name]) for name in METHODS if name in done]),
        "",
    ]  # fmt: skip
    publish(lines, "training", chosen.out)


if __name__ == "__main__":
    main()
