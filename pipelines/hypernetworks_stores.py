"""Stores that hypernetworks made, read by classification, contrastive and few-shot learning, beside stores of fits.

Command:  python pipelines/hypernetworks_stores.py
Needs:    MNIST and Omniglot, fetched unless INRZOO_MNIST and INRZOO_OMNIGLOT name their files.
          INRZOO_SCALE: tiny|small|full.
Hardware: small: one CPU core. "full" is all digits and the papers' transformers, for a GPU.
Duration: small: 3 CPU minutes to train a hypernetwork, of which there are 6, 1 to 3 for a store, of which there are 12,
          and half a minute to a minute for a reader, of which there are 36; what is there stays, the same command
          continues.
Expected: docs/hypernetworks.md, section "Stores made by hypernetworks".
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cifar10 import DOCUMENT, LR, OUT, TOKENS
from script import SCALE, begin, source

from inrzoo import manifest, open_store
from inrzoo.builder import build
from inrzoo.short_forms import short_table
from inrzoo.tasks import Comparison, Measurement, Task, UnfittedDataset, measure, over_runs, train
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.contrastive import Contrastive
from inrzoo.tasks.few_shot import FewShot
from inrzoo.tasks.hypernetwork import Hypernetwork

begin(__doc__)

SEEDS = {"tiny": 2, "small": 3, "full": 3}[SCALE]
STEPS, READER_STEPS = {"tiny": (4, 5), "small": (6000, 1500), "full": (100_000, 15_000)}[SCALE]
TTO = 20
"""Steps of Adam after which, and half way to which, the two INRs of a contrastive pair are taken."""
FEW = {"limit": 120, "source.num_validation": 2000}
MNIST: dict[str, Any] = {"tiny": FEW, "small": {"limit": 14_000}, "full": {}}[SCALE]
PAIRS: dict[str, Any] = {"tiny": FEW, "small": {"limit": 6000}, "full": {}}[SCALE]
# Transformers did not learn to write the presets' SIRENs of two sine layers with omega_0 = 30: 11 dB after 1,500 steps,
# as much as the mean digit has; those of three with 10 had 15 to 17 dB.
SIREN = {"inr.omega_0": 10.0, "inr.hidden_layers": 2}
# Of Omniglot a limit would leave classes with too few drawings for episodes.
SETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mnist": ("mnist", "nfn", MNIST),
    "pairs": ("mnist", "nfn", PAIRS),
    "omniglot": ("omniglot", "low", {}),
}
"""Dataset, preset and settings of each set of INRs."""
# From one start, short fits are no worse to read (docs/few_shot.md).
FITS: dict[str, Any] = {"fit.lr": 2e-3, "fit.steps": 100, "fit.stop_psnr": 35.0, "init.mode": "shared"}
LEARNED, TRANS, GINR = "Learned Init", "TransINR", "GINR-IPC"
HIDDEN = 32  # of the SIRENs of both presets
NETWORKS: dict[str, dict[str, Any]] = {
    LEARNED: {"name": "learned_init", "adapt": "matrices", "inner_lr": 0.1},
    TRANS: {"name": "trans_inr", "groups": HIDDEN // 2, **TOKENS},
    GINR: {"name": "instance_patterns", "rank": HIDDEN, **TOKENS},
}
"""Fields of each hypernetwork; inner and outer step sizes by the validation digits after 300 to 1,500 steps."""
FITTED = "fits from one start"

FLAT_MLP = {"name": "flat_mlp", "tensors": "all", "hidden_features": 256, "out_features": 128}
BATCH = 16 if SCALE == "tiny" else 128
COMMON: dict[str, Any] = {
    "steps": READER_STEPS, "warmup": min(100, READER_STEPS), "validate_every": max(1, READER_STEPS // 5),
}  # fmt: skip
MOTIONS = (short_table("scale", 0.05), short_table("rotate", 10.0), short_table("translate", 0.05))
WEAK = (short_table("noise", 0.05), short_table("dropout", 0.01))
EPISODES = {"query": 2, "test_query": 2, "validation_episodes": 5, "test_episodes": 10} if SCALE == "tiny" else {}
READERS: dict[str, tuple[str, Task]] = {
    "accuracy": ("mnist", Classify(encoder=FLAT_MLP, lr=2e-3, batch_size=BATCH, augment=WEAK, **COMMON)),
    "linear probe": (
        "pairs",
        Contrastive(
            encoder=FLAT_MLP, lr=2e-3, batch_size=BATCH, between="views", augment=(*MOTIONS, *WEAK),
            projector_hidden=512, projector_features=128, **COMMON,
        ),
    ),
    "5-way 5-shot": (
        "omniglot",
        FewShot(
            encoder={**FLAT_MLP, "hidden_features": 512, "hidden_layers": 1, "out_features": 256},
            **({"steps": READER_STEPS, **EPISODES} if SCALE == "tiny" else {"way": 20, "query": 5, "test_query": 15}),
            **({} if SCALE == "tiny" else {"steps": {"small": 1000, "full": 20_000}[SCALE]}),
        ),
    ),
}  # fmt: skip
"""Column -> the set of INRs that it is measured on, and the task."""


def described(name: str, settings: Mapping[str, Any]) -> manifest.Manifest:
    """The manifest of a set with further settings."""
    dataset, preset, own = SETS[name]
    return manifest.load(dataset, preset, {**SIREN, **own, **settings})


def hypernetwork(method: str, dataset: str) -> Path:
    """The run of a hypernetwork that is trained on the training signals of a dataset."""
    hypernet = NETWORKS[method]
    signals = described(dataset, {})
    task = Hypernetwork(
        hypernet=hypernet, inr=signals.inr, lr=LR, steps=STEPS, warmup=STEPS // 20, num_coords=256,
        validate_every=max(STEPS // 6, 1), test_tto_steps=0,
    )  # fmt: skip
    out = OUT / "stores" / "runs" / f"{hypernet['name']}-{dataset}"
    train(task, UnfittedDataset(signals, source(dataset)), out)
    return out


def store_of(method: str, name: str) -> Path:
    """The store of a set by a method, which is built unless it is there."""
    dataset, snapshots = SETS[name][0], {"fit.views": [TTO // 2, TTO], "fit.steps": TTO}
    store = OUT / "stores" / f"{name}-{method.replace(' ', '_')}.zarr"
    if method == FITTED:
        views = {"fit.views": [50, 100], "fit.stop_psnr": 0.0} if name == "pairs" else {}
        build(described(name, {**FITS, **views}), store, source=source(dataset), in_process=True)
        return store
    tto, settings = (TTO, {"fit.lr": 1e-3, **snapshots}) if name == "pairs" else (0, {})
    run = hypernetwork(method, dataset)
    build(described(name, settings), store, source=source(dataset), fitter=run, tto=tto, in_process=True)
    return store


def read_by(column: str, store: Path) -> dict[str, Measurement]:
    """What a reader reaches on the test split of a store, over training seeds."""
    task = READERS[column][1]
    runs = [
        measure(replace(task, seed=seed), store, OUT / "stores" / "readers" / f"{store.stem}-{seed}")
        for seed in range(SEEDS)
    ]
    found = over_runs(runs)
    key = next(key for key in found if key.startswith(column))
    return {column: replace(found[key], name=column)}


METHODS = (FITTED, *NETWORKS)
page = Comparison(DOCUMENT, "Stores made by hypernetworks", [*READERS], notes=["dB, digits", "dB, characters"])
found: dict[str, dict[str, Measurement]] = {}
for method in METHODS:
    found[method], decibels = {}, {}
    for column, (name, _) in READERS.items():
        store = store_of(method, name)
        decibels[name] = f"{np.nanmean(open_store(store).psnr[:, 0, -1]):.1f}"
        found[method] |= read_by(column, store)
    page.add(method, found[method], notes=[decibels["mnist"], decibels["omniglot"]])
for method in NETWORKS:
    for column in READERS:
        page.check(
            f"{column}: {method}'s INRs are above fits from one start", found[method][column], found[FITTED][column]
        )
page.write(
    f"Scale `{SCALE}`: SIRENs 2/32/32/32/1, omega_0 = 10, of {MNIST.get('limit', 70_000):,} digits and of Omniglot. "
    f"Hypernetworks were trained for {STEPS:,} steps of 16 training signals. Read by `flat_mlp` on all weights: "
    f"classification of digits, a linear probe after contrastive learning on {PAIRS.get('limit', 70_000):,} digits, "
    f"and few-shot learning of characters that no network has seen; percent on the test split with the 95 % interval "
    f"of {SEEDS} training seeds. Pairs of contrastive learning are two snapshots: after {TTO // 2} and {TTO} steps of "
    f"Adam from what a network makes, after 50 and 100 of fits."
)
