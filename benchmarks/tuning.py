"""How good the settings are that `inrzoo tune` finds: beside the best of a grid search of 40 settings.

Command:  python benchmarks/tuning.py [--dataset mnist --preset nfn --target-psnr 40 --budget 120]
Needs:    a C++ compiler; the dataset, fetched unless --source names its files.
Duration: the budget, then about four times as long for the grid; on two cores ten minutes for MNIST.

Both fit the same training signals with the same engine; the grid has learning rates, scales of the initial weights and
lengths of cosines. Writes tuning_DATASET_MACHINE_DATE.md to benchmarks/results.
"""

import itertools
import time

from quality_page import options as page_options
from quality_page import origin, write

from inrzoo import manifest
from inrzoo.errors import InrzooError
from inrzoo.trials import REACHED, Trial, Trials
from inrzoo.tune import tune

RATES, SCALES, LENGTHS = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2), (1.0, 2.0), (0, 50, 100, 200)
"""The grid: learning rates, `init_scale`, steps of a cosine (0: a constant rate)."""
SIGNALS = 288
"""Number of signals, as in the last round of the search."""


def main() -> None:
    parser = page_options(__doc__)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of the search")
    parser.add_argument("--limit", type=int, default=1000, help="steps after which a constant rate gives up")
    parser.add_argument("--settings", type=int, default=40, help="of the grid, the first ones")
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
        f"{origin()}; {trials.threads} thread(s), {found.num_inrs} training signals.",
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
    write(lines, "tuning", own.name, options.out)


def row(what: str, trial: Trial, seconds: float | None) -> str:
    settings = ", ".join(f"`{key}` {value}" for key, value in trial.settings.items()) or "–"
    took = "–" if seconds is None else f"{seconds:.0f}"
    return f"| {what} | {settings} | {trial.mean_steps:.1f} | {trial.reached:.1%} | {took} |"


if __name__ == "__main__":
    main()
