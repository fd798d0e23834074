"""How good the settings are that `inrzoo tune` finds: beside the best of a grid search of 40 settings.

Command:  python benchmarks/tuning.py [--dataset mnist --preset nfn --target-psnr 40 --budget 120]
Needs:    a C++ compiler; the dataset, fetched unless --source names its files.
Duration: the budget, then about four times as long for the grid; on two cores ten minutes for MNIST.

Both fit the same training signals with the same engine; the grid has learning rates, scales of the initial weights and
lengths of cosines. Writes tuning_DATASET_MACHINE_DATE.md to benchmarks/results.
"""

import argparse
import itertools
import shlex
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from inrzoo import manifest
from inrzoo.bench import machine
from inrzoo.errors import InrzooError
from inrzoo.trials import REACHED, Trial, Trials
from inrzoo.tune import tune

RESULTS = Path(__file__).parent / "results"
RATES, SCALES, LENGTHS = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2), (1.0, 2.0), (0, 50, 100, 200)
"""The grid: learning rates, `init_scale`, steps of a cosine (0: a constant rate)."""
SIGNALS = 288
"""Number of signals, as in the last round of the search."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--preset")
    parser.add_argument("--source", type=Path)
    parser.add_argument("--target-psnr", type=float, default=40.0)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of the search")
    parser.add_argument("--limit", type=int, default=1000, help="steps after which a constant rate gives up")
    parser.add_argument("--settings", type=int, default=40, help="of the grid, the first ones")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args()
    try:
        own = manifest.load(options.dataset, options.preset)
        begun = time.monotonic()
        tuned = tune(own, source=options.source, target_psnr=options.target_psnr, budget=options.budget)
        searched = time.monotonic() - begun
        trials = Trials(own, options.source, options.target_psnr, SIGNALS, "cpu")
    except InrzooError as error:
        parser.error(str(error))
    begun, grid = time.monotonic(), []
    for lr, scale, length in itertools.islice(itertools.product(RATES, SCALES, LENGTHS), options.settings):
        cosine = {"fit.schedule": "cosine", "fit.steps": length} if length else {}
        keys = {"fit.lr": lr, "inr.init_scale": scale, **cosine}
        grid.append(trials.measure(keys, SIGNALS, length or options.limit))
    seconds = time.monotonic() - begun
    reaching = [one for one in grid if one.reached >= REACHED]
    best = min(reaching or grid, key=lambda one: one.mean_steps)
    found = tuned.ranked[0]
    ended = "ended by itself" if tuned.complete else "ended by its budget"
    lines = [
        f"# Tuning {own.name} to {options.target_psnr:g} dB",
        "",
        f"{machine.in_a_line(machine.describe())}; {trials.threads} thread(s); {datetime.now(UTC):%Y-%m-%d}; "
        f"`{shlex.join(['python', 'benchmarks/tuning.py', *sys.argv[1:]])}`; {found.num_inrs} training signals.",
        "",
        "| | settings | mean steps | at the PSNR | seconds |",
        "|---|---|---:|---:|---:|",
        row(f"`inrzoo tune`, {ended}", found, searched),
        row(f"the best of a grid of {len(grid)}", best, seconds),
        row("the dataset's own", tuned.own, None),
        "",
        f"The search is at {found.mean_steps / best.mean_steps:.2f} of the grid's best.",
        "",
    ]
    text = "\n".join(lines)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    name = f"tuning_{own.name}_{machine.slug(machine.describe())}_{datetime.now(UTC):%Y-%m-%d}.md"
    (options.out / name).write_text(text, encoding="utf-8")


def row(what: str, trial: Trial, seconds: float | None) -> str:
    settings = ", ".join(f"`{key}` {value}" for key, value in trial.settings.items()) or "–"
    took = "–" if seconds is None else f"{seconds:.0f}"
    return f"| {what} | {settings} | {trial.mean_steps:.1f} | {trial.reached:.1%} | {took} |"


if __name__ == "__main__":
    main()
