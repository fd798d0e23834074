"""What fast fits cost readers of weights: MNIST classified by weights that were fitted with several settings.

Command:  python pipelines/recipes_table.py
Needs:    MNIST, fetched unless INRZOO_MNIST names its files. INRZOO_SCALE: tiny|small|full.
Hardware: one CPU core for SCALE = "small", 14,000 digits; "full" is all digits and 15,000 steps.
Duration: small: 1 to 10 minutes a store and 3 minutes a training run, 4 settings × 3 seeds × 2 readers: about 1.5 hours
          of one core. What is there stays: the same command continues.
Expected: docs/recipes.md, section "Accuracy".
"""

import json

import numpy as np
from script import SCALE, begin, folders, source

from inrzoo import manifest, open_store
from inrzoo.builder import build
from inrzoo.short_forms import short_table
from inrzoo.tasks import Comparison, measure, over_runs
from inrzoo.tasks.classify import Classify

begin(__doc__)

OUT, DOCUMENT = folders("out/recipes", "docs/recipes.md")
TINY = {"limit": 120, "source.num_validation": 30, "fit.steps": 30}
STORE = {"tiny": TINY, "small": {"limit": 14_000}, "full": {}}[SCALE]
STEPS = {"tiny": 5, "small": 1500, "full": 15_000}[SCALE]
BATCH = {"tiny": 16, "small": 128, "full": 128}[SCALE]
SEEDS = {"tiny": 2, "small": 3, "full": 3}[SCALE]
SETTINGS = {
    "the preset: 5e-4": {},
    "2e-3": {"fit.lr": 2e-3},
    "2e-3, init_scale 1.5": {"fit.lr": 2e-3, "inr.init_scale": 1.5},
    "recipe fast": "fast",
}
if SCALE == "tiny":
    SETTINGS = {name: SETTINGS[name] for name in ("the preset: 5e-4", "recipe fast")}
COMMON = {
    "augment": (short_table("scale", 0.05), short_table("rotate", 10.0), short_table("translate", 0.05)),
    "steps": STEPS, "warmup": min(100, STEPS), "batch_size": BATCH, "validate_every": max(1, STEPS // 5),
}  # fmt: skip
FLAT_MLP = {"name": "flat_mlp", "tensors": "all", "hidden_features": 256, "out_features": 128}
READERS = {  # how INRs start, and the task
    "message_passing, random starts": (
        "random",
        Classify(encoder={"name": "message_passing"}, inputs="canonical", lr=4e-3, **COMMON),
    ),
    "flat_mlp, shared start": ("shared", Classify(encoder=FLAT_MLP, lr=2e-3, **COMMON)),
}

page = Comparison(DOCUMENT, "Accuracy", ["accuracy"], notes=["mean steps of a fit", "dB", "std of hidden weights"])
found = {}
for reader, (start, task) in READERS.items():
    for name, settings in SETTINGS.items():
        store = OUT / f"{start}-{list(SETTINGS).index(name)}.zarr"
        keys = {**STORE, "init.mode": start}
        if isinstance(settings, str):
            build(manifest.load("mnist", "nfn", keys, recipe=settings), store, source=source("mnist"))
        else:
            build(manifest.load("mnist", "nfn", {**keys, **settings}), store, source=source("mnist"))
        built, opened = json.loads(store.with_suffix(".build.json").read_text()), open_store(store)
        hidden = opened.layout.split(opened.weights[:1000, 0, -1])["weight_1"]
        tasks = [Classify(**{**vars(task), "seed": seed}) for seed in range(SEEDS)]
        runs = [measure(one, store, OUT / "runs" / f"{store.stem}-{one.encoder['name']}-{one.seed}") for one in tasks]
        found[reader, name] = over_runs(runs)
        notes = [f"{opened.steps[:, 0, -1].mean():.0f}", f"{built['psnr_median']:.1f}", f"{np.std(hidden):.4f}"]
        page.add(f"{reader}: {name}", found[reader, name], notes=notes)
    first, *others = SETTINGS
    for name in others:
        page.check(
            f"{reader}: {name} loses accuracy", found[reader, first]["accuracy"], found[reader, name]["accuracy"]
        )
    page.write(
        f"Scale `{SCALE}`, {STORE.get('limit', 70_000):,} digits, {STEPS:,} steps of {BATCH}; percent on the test "
        f"split with the 95 % interval of {SEEDS} training seeds."
    )
