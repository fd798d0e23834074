"""What the frequency of SIRENs is worth to readers of their weights: omega_0 and depth, with one start for all.

Command:  python pipelines/frequency_table.py
Needs:    MNIST and Omniglot, fetched unless INRZOO_MNIST and INRZOO_OMNIGLOT name their files.
          INRZOO_SCALE: tiny|small|full.
Hardware: small: one CPU core, 14,000 digits and all of Omniglot. "full" is all digits and fits of 1,000 steps.
Duration: small: 2 and 4 minutes a store, of which there are 10, and half a minute for a reader, of which there are 30;
          what is there stays, the same command continues.
Expected: docs/recipes.md, section "What the frequency of SIRENs is worth".
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from script import SCALE, begin, folders, source

from inrzoo import manifest, open_store
from inrzoo.builder import build
from inrzoo.tasks import Comparison, Measurement, Task, measure, over_runs
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.few_shot import FewShot

begin(__doc__)

OUT, DOCUMENT = folders("out/frequency", "docs/recipes.md")
SEEDS = {"tiny": 2, "small": 3, "full": 3}[SCALE]
STEPS = {"tiny": 5, "small": 1500, "full": 15_000}[SCALE]
FIT_STEPS = {"tiny": 100, "small": 100, "full": 1000}[SCALE]
FITS: dict[str, Any] = {"fit.lr": 2e-3, "fit.steps": FIT_STEPS, "fit.stop_psnr": 35.0, "init.mode": "shared"}
SOME: dict[str, Any] = {"tiny": {"limit": 120, "source.num_validation": 2000}, "small": {"limit": 14_000}, "full": {}}[
    SCALE
]
SIRENS = [(30.0, 2), (10.0, 2), (5.0, 2), (30.0, 3), (10.0, 3)]
"""omega_0 and sine layers of each row."""
FLAT_MLP: dict[str, Any] = {"name": "flat_mlp", "tensors": "all"}
EPISODES = {"query": 2, "test_query": 2, "validation_episodes": 5, "test_episodes": 10} if SCALE == "tiny" else {}
WAYS = {} if SCALE == "tiny" else {"way": 20, "query": 5, "test_query": 15}
READERS: dict[str, tuple[str, str, dict[str, Any], Task]] = {
    "digits": (
        "mnist", "nfn", SOME,
        Classify(
            encoder={**FLAT_MLP, "hidden_features": 256, "out_features": 128}, lr=2e-3, augment=(), steps=STEPS,
            warmup=min(100, STEPS), batch_size=16 if SCALE == "tiny" else 128, validate_every=max(1, STEPS // 5),
        ),
    ),
    "characters, 5-way 5-shot": (
        "omniglot", "low", {},
        FewShot(
            encoder={**FLAT_MLP, "hidden_features": 512, "hidden_layers": 1, "out_features": 256},
            steps={"tiny": STEPS, "small": 1000, "full": 20_000}[SCALE], **WAYS, **EPISODES,
        ),
    ),
}  # fmt: skip
"""Column -> dataset, preset, further settings, and what reads it."""


def stored(dataset: str, preset: str, some: dict[str, Any], omega: float, layers: int) -> Path:
    """The store of a row, which is built unless it is there."""
    siren = {"inr.omega_0": omega, "inr.hidden_layers": layers - 1}
    store = OUT / f"{dataset}-{omega:g}-{layers}.zarr"
    build(manifest.load(dataset, preset, {**some, **FITS, **siren}), store, source=source(dataset), in_process=True)
    return store


page = Comparison(DOCUMENT, "What the frequency of SIRENs is worth", [*READERS], notes=["dB, digits", "dB, characters"])
found: dict[tuple[float, int], dict[str, Measurement]] = {}
for omega, layers in SIRENS:
    found[omega, layers], decibels = {}, []
    for column, (dataset, preset, some, task) in READERS.items():
        store = stored(dataset, preset, some, omega, layers)
        decibels.append(f"{np.nanmean(open_store(store).psnr[:, 0, -1]):.1f}")
        tasks = [replace(task, seed=seed) for seed in range(SEEDS)]
        all_numbers = over_runs([measure(one, store, OUT / "runs" / f"{store.stem}-{one.seed}") for one in tasks])
        measure_name = "accuracy" if column == "digits" else "5-way 5-shot"
        key = next(key for key in all_numbers if key.startswith(measure_name))
        found[omega, layers][column] = replace(all_numbers[key], name=column)
    page.add(f"omega_0 = {omega:g}, {layers} sine layers", found[omega, layers], notes=decibels)
for layers in (2, 3):
    for column in READERS:
        low, high = (found[omega, layers][column] for omega in (10.0, 30.0))
        page.check(f"{column}, {layers} sine layers: omega_0 = 10 is above 30", low, high)
page.write(
    f"Scale `{SCALE}`: SIRENs of 32 neurons a layer, one start for all, {FIT_STEPS} steps of 2e-3, or fewer to 35 dB. "
    f"`flat_mlp` on all weights reads {SOME.get('limit', 70_000):,} digits (classification, {STEPS:,} steps) and all "
    f"of Omniglot (few-shot learning of new characters, [its recipe](few_shot.md)). Percent on the test split with the "
    f"95 % interval of {SEEDS} training seeds; dB are means of all INRs."
)
