"""Accuracy over the number of signals and of fits of each: do more fits of a signal replace data?

Command:  python pipelines/learning_curves.py
Needs:    MNIST, fetched unless INRZOO_MNIST names its files. INRZOO_SCALE: tiny|small|full.
Hardware: one CPU core for SCALE = "small", 6,000 digits of three fits; "full" is 70,000 digits of nine.
          INRZOO_READERS chooses readers.
Duration: small: 4 minutes a store and a quarter of an hour of training, one core. What is there stays: the same
          command continues.
Expected: docs/learning_curves.md, section "Curves", and docs/learning_curves.png.
"""

import os
from pathlib import Path

from script import SCALE, begin, folders, source

from inrzoo import build, subset
from inrzoo.short_forms import short_table
from inrzoo.tasks import Comparison, Measurement, draw_lines, measure, over_runs, paired_difference
from inrzoo.tasks.classify import Classify

begin(__doc__)

OUT, DOCUMENT = folders("out/learning_curves", "docs/learning_curves.md")
FITS = {"tiny": (1, 3), "small": (1, 3), "full": (1, 3, 9)}[SCALE]
SIGNALS = {"tiny": (10, 30), "small": (500, 1500, 4500), "full": (2000, 6000, 18_000, 54_000)}[SCALE]  # thrice each
FEW_SIGNALS = SIGNALS if SCALE == "full" else SIGNALS[:2]
SEEDS = {"tiny": 2, "small": 3, "full": 3}[SCALE]
LIMIT = {"tiny": 600, "small": 6000, "full": None}[SCALE]
TINY = {"source.num_validation": 30, "fit.steps": 30} if SCALE == "tiny" else {}
AUGMENT = (short_table("scale", 0.05), short_table("rotate", 10.0), short_table("translate", 0.05))
COMMON = {"lr": 2e-3, "weight_decay": 1e-2, "ema": 0.998, "augment": AUGMENT}
FLAT_MLP = {"name": "flat_mlp", "tensors": "all", "hidden_features": 256}
PROBES = {"name": "function_probe", "num_probes": 64}
FEWER = {"batch_size": 8} if SCALE == "tiny" else {}
SLOW = {"batch_size": 128 if SCALE == "full" else 64, "lr": 4e-3}
READERS = {  # how INRs start, steps at the scales small and full, numbers of digits, and fields of the task
    "flat_mlp, shared starts": ("shared", (600, 4000), SIGNALS, {"encoder": FLAT_MLP}),
    "function_probe": ("random", (600, 6000), SIGNALS, {"encoder": PROBES}),
    "message_passing": (
        "random",
        (400, 6000),
        FEW_SIGNALS,
        {"encoder": {"name": "message_passing"}, "inputs": "canonical", **SLOW},
    ),
    "graded_message_passing": (
        "random",
        (400, 6000),
        FEW_SIGNALS,
        {"encoder": {"name": "graded_message_passing"}, **SLOW},
    ),
}


def store_of(start: str, fits: int) -> Path:
    """The store of the first fits of each digit, cut out of the one that has all."""
    whole, part = OUT / f"{start}.zarr", OUT / f"{start}-{fits}.zarr"
    if fits < max(FITS) and not part.exists():
        subset(whole, out=part, seeds=range(fits))
    return part if fits < max(FITS) else whole


page = Comparison(DOCUMENT, "Curves", ["accuracy"], notes=["digits", "fits", "INRs", "steps × batch", "CPU minutes"])
lines: dict[str, dict[float, Measurement]] = {}
for reader in os.environ.get("INRZOO_READERS", ";".join(READERS)).split(";"):
    start, steps, numbers, fields = READERS[reader]
    build("mnist", preset="nfn", lr=2e-3, init=start, seeds=max(FITS), limit=LIMIT, settings=TINY,
          source=source("mnist"), out=OUT / f"{start}.zarr", workers=1, quiet=True)  # fmt: skip
    count, trials = {"tiny": 4, "small": steps[0], "full": steps[1]}[SCALE], {}
    for signals in numbers:
        for fits in FITS:
            runs = []
            for seed in range(SEEDS):
                task = Classify(**COMMON | fields | FEWER, train_signals=signals, seed=seed, steps=count,
                                warmup=min(100, count), validate_every=count // 4)  # fmt: skip
                run = OUT / "runs" / f"{reader.split(',')[0]}-{signals}-{fits}-{seed}"
                runs.append(measure(task, store_of(start, fits), run, quiet=True))
            trials[signals, fits], mean = [run["accuracy"] for run in runs], over_runs(runs)
            lines.setdefault(f"{reader}, {fits} fit{'s' if fits > 1 else ''}", {})[signals] = mean["accuracy"]
            notes = [f"{signals:,}", f"{fits}", f"{signals * fits:,}", f"{count:,} × {task.batch_size}"]
            page.add(reader, mean, notes=[*notes, f"{mean['CPU minutes'].mean:.1f}"])
    few, many, fits = numbers[-2], numbers[-1], FITS[1]
    for claim, better, worse in (
        (f"{fits} fits of {few:,} digits are above one", trials[few, fits], trials[few, 1]),
        (f"{fits} fits of {many:,} digits are above one", trials[many, fits], trials[many, 1]),
        (f"{fits} fits of {few:,} digits are above one fit of {many:,}", trials[few, fits], trials[many, 1]),
    ):
        first, second = (over_runs([{"accuracy": one} for one in each])["accuracy"] for each in (better, worse))
        page.check(f"{reader}: {claim}", first, second, paired_difference(better, worse))
    page.write(
        f"Scale `{SCALE}`: {SEEDS} training seeds, each with a draw of digits of its own; as many steps with few INRs "
        "as with many. Percent of the test INRs, which are as many fits of each test digit as were learned from, with "
        "the 95 % interval of the mean over training seeds; those of differences are of pairs with the same seed."
    )
draw_lines(DOCUMENT.with_suffix(".png"), lines, "digits", "accuracy in percent")
