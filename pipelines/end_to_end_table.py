"""MWT's rows (Gielisse & van Gemert 2025) for MNIST, Fashion-MNIST and CIFAR-10: classification through INRs.

Command:  python pipelines/end_to_end_table.py
Needs:    MNIST, Fashion-MNIST, CIFAR-10, fetched unless INRZOO_MNIST, INRZOO_FASHION_MNIST, INRZOO_CIFAR10 name their
          files. INRZOO_DATASETS=mnist,cifar10 takes those two alone, INRZOO_METHODS="mnist: MWT" some rows,
          separated by semicolons, INRZOO_SEEDS=1 one training of each row.
          INRZOO_SCALE: tiny|small|full.
Hardware: small: one CPU core. "full" is the paper's size, ten epochs, and meant for a GPU.
Duration: small: 20 to 30 CPU minutes a training, of which there are 8 rows with 3 seeds each; all rows get their first
          seed before any gets its second, and what is there stays: the same command continues.
Expected: docs/end_to_end.md, and the curves beside it.
"""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curves import validation_curve
from mwt import CLASSIFIER, HIDDEN, INNER, INR, LAYERS, OPTIMISER, RATES, intervals, seed_by_seed
from script import SCALE, begin, chosen, folders, source

from inrzoo import manifest, open_store
from inrzoo.builder import build
from inrzoo.short_forms import short_table
from inrzoo.tasks import Comparison, Measurement, UnfittedDataset, draw_lines, measure
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.end_to_end import EndToEnd

begin(__doc__)

DATASETS = os.environ.get("INRZOO_DATASETS", "mnist,fashion_mnist,cifar10").split(",")
SEEDS = int(os.environ.get("INRZOO_SEEDS", 1 if SCALE == "tiny" else 3))
OUT, DOCUMENT = folders("out/end_to_end", "docs/end_to_end.md")
STEPS = {"tiny": 10, "small": 60_000, "full": 40_000}[SCALE]
FITS = {"tiny": 60, "small": 14_000, "full": 70_000}[SCALE]  # signals to fit one by one: they take half of the time
SCHEDULE: dict[str, Any] = {
    "steps": STEPS, "warmup": STEPS // 20, "schedule": "cosine", "weight_decay": 1e-4, "validate_every": STEPS // 10,
    "optimiser": OPTIMISER,
}  # fmt: skip
CROP, FLIP = short_table("crop", 4, "augmentations"), short_table("flip", 0.5, "augmentations")
AUGMENTED = {"mnist": (short_table("crop", 2, "augmentations"),), "fashion_mnist": (FLIP,), "cifar10": (CROP, FLIP)}


@dataclass(frozen=True)
class Row:
    """What is trained on a dataset, and the paper's accuracy where one is known to us."""

    name: str
    task_weight: float | None = 0.01
    augment: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    paper: float | None = None


def rows_of(dataset: str) -> list[Row]:
    """The rows of one dataset; a task weight of None are INRs that were fitted one by one."""
    paper, augmented = (59.6, 64.7) if dataset == "cifar10" else (None, None)
    rows = [Row("MWT", paper=paper), Row("MWT, augmented", augment=AUGMENTED[dataset], paper=augmented)]
    if dataset == "cifar10":
        rows += [Row("MWT, flips", augment=(FLIP,))]
    if dataset == "mnist":
        rows += [Row("MWT, w_task = 0", 0.0), Row("same classifier, fitted SIRENs", None)]
    return rows


def trained(dataset: str, row: Row, seed: int) -> dict[str, Measurement]:
    """MWT, measured on the test split."""
    network = {"name": "end_to_end", "task_weight": row.task_weight, **CLASSIFIER, **INNER}
    task = EndToEnd(
        inr=INR, hypernet=network, test_inner_fraction=1.0, seed=seed,
        augment=row.augment, **RATES, **SCHEDULE,
    )  # fmt: skip
    signals = manifest.load(dataset, overrides={"limit": 100} if SCALE == "tiny" else {})
    return measure(task, UnfittedDataset(signals, source(dataset)), folder(dataset, row, seed))


def of_fits(dataset: str, row: Row, seed: int) -> dict[str, Measurement]:
    """The same classifier, on INRs that were fitted one by one, each from its own start."""
    store, took = OUT / f"{dataset}.zarr", OUT / f"{dataset}.cpu_seconds"
    settings = {"limit": FITS, "fit.steps": 200, "fit.lr": 2e-3, "fit.stop_psnr": None}
    wanted = manifest.load(dataset, overrides={**settings, **{f"inr.{key}": value for key, value in INR.items()}})
    started = time.process_time()
    if build(wanted, store, source=source(dataset), in_process=True).fitted:
        took.write_text(str(time.process_time() - started))
    encoder, lr = {"name": "weight_transformer", **CLASSIFIER}, RATES["lr"] * RATES["classifier_factor"]
    task = Classify(encoder=encoder, batch_size=16, lr=lr, augment=(), seed=seed, **SCHEDULE)
    found = measure(task, store, folder(dataset, row, seed))
    minutes = found["CPU minutes"].mean + float(took.read_text()) / 60
    numbers = {"PSNR": float(open_store(store).psnr.mean()), "CPU minutes": minutes}
    return found | {name: Measurement(name, number, 0.0, 1) for name, number in numbers.items()}


def run(which: tuple[str, Row], seed: int) -> dict[str, Measurement]:
    """A row of a dataset, trained with one seed."""
    dataset, row = which
    return (of_fits if row.task_weight is None else trained)(dataset, row, seed)


def folder(dataset: str, row: Row, seed: int) -> Path:
    """Return the folder of a run."""
    return OUT / "runs" / f"{dataset}-{row.name.replace(', ', '-').replace(' ', '_').replace('=', '')}-{seed}"


rows = {f"{dataset}: {row.name}": (dataset, row) for dataset in DATASETS for row in rows_of(dataset)}
wanted = list(chosen(rows).values())
measured = seed_by_seed(wanted, SEEDS, run)
found = {(dataset, row.name): numbers for (dataset, row), numbers in measured.items()}

page = Comparison(DOCUMENT, "Classification through INRs", ["accuracy", "PSNR", "CPU minutes"])
for dataset, row in wanted:
    page.add(f"{dataset}: {row.name}", found[dataset, row.name], (row.paper, None, None) if row.paper else ())
for dataset, row in wanted:
    if row.name != "MWT" and (dataset, "MWT") in found:
        better, worse = (row.name, "MWT") if row.augment else ("MWT", row.name)
        accuracies = [found[dataset, name]["accuracy"] for name in (better, worse)]
        page.check(f"{dataset}: {better} is above {worse}", *accuracies)
draw_lines(
    DOCUMENT.with_name("end_to_end_curves.png"),
    {
        f"{dataset}: {row.name}": validation_curve(folder(dataset, row, 0), "validation_accuracy", 100)
        for dataset, row in wanted
        if row.task_weight
    },
    "thousand training steps",
    "validation accuracy in percent",
)
page.write(
    f"Scale `{SCALE}`: SIREN of {LAYERS + 1} sine layers of {HIDDEN}, {INNER['inner_steps']} inner steps on "
    f"{INNER['inner_fraction']:.0%} of the pixels and on all where it is measured (chosen by validation), {STEPS:,} "
    f"training steps of 16 signals, the best by validation; {intervals(SEEDS)}. Augmented are crops by 4 pixels and "
    f"flips (CIFAR-10), flips (Fashion-MNIST), crops by 2 pixels (MNIST). Accuracy in %, PSNR in dB on the test split.",
    "",
    "![accuracy of the validation split over the training](end_to_end_curves.png)",
)
