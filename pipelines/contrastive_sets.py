"""What the scripts of the contrastive paper share: its four sets of INRs, our recipes, and runs over training seeds.

Not a command of its own: contrastive_table_2.py, contrastive_ablations.py and contrastive_figure_3.py import it.
INRZOO_SETS chooses sets, INRZOO_TRAININGS the number of training seeds, INRZOO_WORKERS the processes of a build;
INRZOO_STEPS and INRZOO_BATCH shorten trainings where time is short, and their rows say so.
"""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from script import SCALE, folders, source

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.loaders import load
from inrzoo.short_forms import short_table
from inrzoo.tasks import Measurement, cost, measure, over_runs
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.contrastive import Contrastive

NAMES = ("siren-mnist", "fourier_net-mnist", "siren-cifar10", "fourier_net-cifar10")
"""INR and signals of each set of the paper's Table 1."""
SETS = os.environ.get("INRZOO_SETS", ",".join(NAMES)).split(",")
OUT, DOCUMENT = folders("out/contrastive", "docs/contrastive.md")
TRAININGS = int(os.environ.get("INRZOO_TRAININGS", 2 if SCALE == "tiny" else 3))
WORKERS = int(os.environ.get("INRZOO_WORKERS", 0)) or None

# NFN's SIRENs are those of Table 1, and are stores of the leaderboard, too.
PRESETS = {"siren": "nfn", "fourier_net": "contrastive"}
# A learning rate of 2e-3 takes a SIREN to its PSNR in a quarter of the steps of Table 1's 5e-4; a reader of weights
# does not tell them apart (docs/recipes.md). Photographs seldom reach 40 dB in 1,000 steps, so they stop at 30 dB.
FITS: dict[str, dict[str, Any]] = {
    "siren-mnist": {"fit.lr": 2e-3},
    "siren-cifar10": {"fit.lr": 2e-3, "fit.stop_psnr": 30.0},
}
FEW_STEPS = {"fit.steps": 30, "fit.engine": "reference"}
NUM_VALIDATION = {"mnist": 30, "cifar10": 2000}
"""Signals of the validation split at scale tiny, on stand-ins of 140 digits and of thousands of photographs."""

# Of the strengths tried (10° to 45° and so on) the weakest were best on the validation split with few steps.
MOTIONS = (short_table("scale", 0.05), short_table("rotate", 10.0), short_table("translate", 0.05))
NOISE = (short_table("noise", 0.05), short_table("dropout", 0.01))
AUGMENTATIONS = (*MOTIONS, *NOISE)
"""The paper's five, weak."""
BATCH = int(os.environ.get("INRZOO_BATCH", 16 if SCALE == "tiny" else 128))
STEPS = int(os.environ.get("INRZOO_STEPS", {"tiny": 10, "small": 6000, "full": 100_000}[SCALE]))
COMMON: dict[str, Any] = {"batch_size": BATCH, "augment": MOTIONS}


def fitted(name: str, part: str, changes: dict[str, Any]) -> Path:
    """Return the store of a set, which is built or continued unless it is there.

    Args:
        name: of `NAMES`.
        part: end of the file's name, which tells stores of one set apart.
        changes: settings of the manifest beside those of the set.
    """
    inr, data = name.split("-")
    settings = {"inr.name": inr, **(FITS.get(name, {}) if SCALE != "full" else {}), **changes}
    store = OUT / f"{name}{part}.zarr"
    if SCALE == "tiny":
        settings |= {"limit": 120, "source.num_validation": NUM_VALIDATION[data], **FEW_STEPS}
    build(
        manifest.load(data, PRESETS[inr], settings),
        store,
        source=source(data),
        workers=WORKERS,
        in_process=SCALE == "tiny",
    )
    return store


def facts(store: Path) -> str:
    """Return a sentence on the INRs of a store."""
    built = json.loads(store.with_suffix(".build.json").read_text())
    count = f"{built['num_inrs']:,} INRs"
    return f"{store.stem}: {count}, {built['psnr_mean']:.1f} dB, {built['seconds'] / 60:.0f} minutes to fit."


def encoder_of(name: str, kind: str) -> dict[str, Any]:
    """Fields of a task that reads the INRs of a set by an encoder of ours."""
    # 512 features and a wide projector: a probe was right for 65.3 against 58.1 % of validation digits after 300 steps.
    wide = {"out_features": 512}
    sigma = {"sigma": 0.2} if name.startswith("fourier_net") else {}  # of 0.1 to 1, by validation accuracy
    return {
        "message_passing": {"encoder": {"name": "message_passing", **wide, **sigma}, "inputs": "canonical"},
        "graded_message_passing": {"encoder": {"name": "graded_message_passing", **wide}, "inputs": "weights"},
        "function_probe": {"encoder": {"name": "function_probe", "num_probes": 64}, "inputs": "weights"},
        "flat_mlp": {
            "encoder": {"name": "flat_mlp", "tensors": "all", "hidden_features": 256, "out_features": 128},
            "inputs": "canonical",
        },
        "raw": {"encoder": {"name": "raw"}, "inputs": "canonical"},
        "raw, as fitted": {"encoder": {"name": "raw"}, "inputs": "weights"},
    }[kind]


def contrastive(name: str, kind: str, steps: int, **fields: Any) -> Contrastive:
    """Return contrastive learning by an encoder of ours, with our recipe."""
    every = max(1, steps // 5)
    lr = 4e-3 if kind == "graded_message_passing" else 2e-3
    schedule = {"steps": steps, "warmup": min(100, steps), "lr": lr, "validate_every": every}
    projector = {"projector_hidden": 512, "projector_features": 128}
    return Contrastive(**{**COMMON, **schedule, **projector, **encoder_of(name, kind), **fields})


def supervised(name: str, kind: str, steps: int, **fields: Any) -> Classify:
    """Return supervised learning by the same encoder, for comparison."""
    every = max(1, steps // 5)
    schedule = {"steps": steps, "warmup": min(100, steps), "lr": 4e-3, "validate_every": every}
    return Classify(**{**COMMON, **schedule, **encoder_of(name, kind), **fields})


def measured(task: Contrastive | Classify, store: Path, run: str, trainings: int) -> dict[str, Measurement]:
    """Train with several seeds, or take what is there, and measure the test split.

    Returns:
        `accuracy` (where nothing is supervised, of a linear probe), `k-NN`, `top-1` and `top-5`: means over training
        seeds with Student's interval; of one training, its own intervals over INRs.
    """
    runs = [_one(replace(task, seed=seed), store, OUT / "runs" / f"{run}-seed{seed}") for seed in range(trainings)]
    return over_runs(runs) if trainings > 1 else runs[0]


def _one(task: Contrastive | Classify, store: Path, run: Path) -> dict[str, Measurement]:
    """One training; its measurements are kept beside it, since a probe of 100,000 INRs takes minutes."""
    kept = run / "measured.json"
    if kept.exists():
        return {key: Measurement(**values) for key, values in json.loads(kept.read_text()).items()}
    short = {"linear probe": "accuracy", "k-nearest neighbours": "k-NN"}
    results = {}
    for name, one in measure(task, store, run).items():
        key = short.get(name, name.split(" of ")[0])
        results[key] = replace(one, name=key)
    kept.write_text(json.dumps({key: asdict(one) for key, one in results.items()}))
    return results


NOTES = ["training INRs", "steps × batch", "trainings", "on", "CPU minutes each"]
"""Headings of `notes`."""


def notes(task: Contrastive | Classify, store: Path, run: str, trainings: int) -> list[str]:
    """Return what the trainings of a row read and took."""
    costs = [cost(OUT / "runs" / f"{run}-seed{seed}") for seed in range(trainings)]
    minutes = sum(each.cpu_seconds for each in costs) / 60 / trainings
    seeds = list(range(task.train_seeds)) if task.train_seeds else None
    count = f"{len(load(store, split='train', seeds=seeds)):,}"
    return [count, f"{task.steps:,} × {task.batch_size}", str(trainings), costs[0].device, f"{minutes:.1f}"]
