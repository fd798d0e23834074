"""What fast fits cost readers of weights: the same signals fitted with several settings, and read by several tasks.

Command:  python pipelines/recipes_table.py
Needs:    MNIST, CIFAR-10 and Omniglot, fetched unless INRZOO_MNIST, INRZOO_CIFAR10 and INRZOO_OMNIGLOT name files.
          INRZOO_SCALE: tiny|small|full. INRZOO_READERS chooses among accuracy, shared, contrastive, cifar10, few-shot.
Hardware: one CPU core for SCALE = "small", 14,000 signals; "full" is all of them and ten times the steps.
Duration: small: 1 to 10 minutes a store; a training takes 15 seconds (flat_mlp) to 3 minutes (message_passing), and
          there are 3 seeds a setting. few-shot has all 32,460 drawings: an hour of one core by the preset.
          What is there stays: the same command continues.
Expected: docs/recipes.md, sections "Accuracy: ...".
"""

import json
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from contrastive_sets import MOTIONS
from script import SCALE, begin, folders, source

from inrzoo import manifest, open_store
from inrzoo.builder import build
from inrzoo.tasks import Comparison, Task, measure, over_runs
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.contrastive import Contrastive
from inrzoo.tasks.few_shot import FewShot

begin(__doc__)

OUT, DOCUMENT = folders("out/recipes", "docs/recipes.md")
SOME = {"tiny": {"limit": 120, "fit.steps": 30}, "small": {"limit": 14_000}, "full": {}}[SCALE]
STEPS = {"tiny": 5, "small": 1500, "full": 15_000}[SCALE]
BATCH = {"tiny": 16, "small": 128, "full": 128}[SCALE]
SEEDS = {"tiny": 2, "small": 3, "full": 3}[SCALE]
VALIDATION = {"source.num_validation": 30} if SCALE == "tiny" else {}
EPISODES = {"query": 2, "test_query": 2, "validation_episodes": 5, "test_episodes": 10} if SCALE == "tiny" else {}
SETTINGS: dict[str, Any] = {
    "the preset: 5e-4": {},
    "2e-3": {"fit.lr": 2e-3},
    "2e-3, init_scale 1.5": {"fit.lr": 2e-3, "inr.init_scale": 1.5},
    "recipe fast": "fast",
}
if SCALE == "tiny":
    SETTINGS = {name: SETTINGS[name] for name in ("the preset: 5e-4", "recipe fast")}
COMMON: dict[str, Any] = {
    "augment": MOTIONS, "steps": STEPS, "warmup": min(100, STEPS), "batch_size": BATCH,
    "validate_every": max(1, STEPS // 5),
}  # fmt: skip
FLAT_MLP = {"name": "flat_mlp", "tensors": "all", "hidden_features": 256, "out_features": 128}
GRAPH: dict[str, Any] = {"encoder": {"name": "message_passing"}, "inputs": "canonical"}


@dataclass(frozen=True)
class Reader:
    """A reader of weights: what it reads, how it is trained, and what is measured."""

    title: str
    dataset: str
    preset: str
    build: dict[str, Any]
    task: Task
    column: str


READERS = {
    "accuracy": Reader(
        "message passing, random starts", "mnist", "nfn", {**SOME, **VALIDATION, "init.mode": "random"},
        Classify(lr=4e-3, **GRAPH, **COMMON), "accuracy",
    ),
    "shared": Reader(
        "flat MLP, shared start", "mnist", "nfn", {**SOME, **VALIDATION, "init.mode": "shared"},
        Classify(encoder=FLAT_MLP, lr=2e-3, **COMMON), "accuracy",
    ),
    "contrastive": Reader(
        "contrastive message passing, two random starts of each digit", "mnist", "nfn",
        {**SOME, **VALIDATION, "init.mode": "random", "seeds": 2, **({"limit": 6000} if SCALE == "small" else {})},
        Contrastive(lr=2e-3, **GRAPH, **{**COMMON, "steps": min(STEPS, 800)}), "top-1",
    ),
    "cifar10": Reader(
        "flat MLP, shared start, CIFAR-10 at 30 dB", "cifar10", "nfn",
        {**SOME, **VALIDATION, "init.mode": "shared", "fit.stop_psnr": 30.0},
        Classify(encoder=FLAT_MLP, lr=2e-3, **COMMON), "accuracy",
    ),
    "few-shot": Reader(
        "few-shot learning, one start fitted to a drawing, Omniglot", "omniglot", "low",
        {**({"fit.steps": 30} if SCALE == "tiny" else {}), "init.mode": "fixed"},
        FewShot(**EPISODES, **({"steps": STEPS} if SCALE == "tiny" else {})), "5-way 5-shot",
    ),
}  # fmt: skip
CHOSEN = os.environ.get("INRZOO_READERS", ",".join(READERS)).split(",")
NOTES = ["mean steps of a fit", "dB", "std of hidden weights", "energy above Nyquist, %"]

for name in CHOSEN:
    reader, found = READERS[name], {}
    page = Comparison(DOCUMENT, f"Accuracy: {reader.title}", [reader.column], notes=NOTES)
    for setting, keys in SETTINGS.items():
        store = OUT / f"{name}-{list(SETTINGS).index(setting)}.zarr"
        recipe, more = (keys, {}) if isinstance(keys, str) else (None, keys)
        described = manifest.load(reader.dataset, reader.preset, {**reader.build, **more}, recipe=recipe)
        build(described, store, source=source(reader.dataset))
        built, opened = json.loads(store.with_suffix(".build.json").read_text()), open_store(store)
        hidden = opened.layout.split(opened.weights[:1000, 0, -1])["weight_1"]
        tasks = [replace(reader.task, seed=seed) for seed in range(SEEDS)]
        runs = [measure(one, store, OUT / "runs" / f"{store.stem}-{one.seed}") for one in tasks]
        found[setting] = over_runs(runs)
        column = next(key for key in found[setting] if key.startswith(reader.column))
        found[setting] = {reader.column: replace(found[setting][column], name=reader.column)}
        steps, above = opened.steps[:, 0, -1].mean(), 100 * np.mean(opened.out_of_band[:, 0, -1])
        notes = [f"{steps:.0f}", f"{built['psnr_median']:.1f}", f"{np.std(hidden):.4f}", f"{above:.2f}"]
        page.add(setting, found[setting], notes=notes)
    first, *others = SETTINGS
    for other in others:
        ours, theirs = (found[setting][reader.column] for setting in (first, other))
        page.check(f"{reader.title}: {other} loses accuracy", ours, theirs)
    count = built["num_inrs"]
    page.write(
        f"Scale `{SCALE}`, {count:,} INRs, {reader.task.steps:,} training steps; percent on the test split with the "
        f"95 % interval of {SEEDS} training seeds."
    )
