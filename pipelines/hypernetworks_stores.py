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
from functools import cache
from pathlib import Path
from typing import Any

from cifar10 import DOCUMENT, OUT
from contrastive_sets import AUGMENTATIONS, NOISE
from one_start import CLASSIFY, DIGITS, FEW, FEW_SHOT, FITS, SEEDS, TRAINING, decibels, read_by
from script import SCALE, begin, source

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.tasks import Comparison, Measurement, Task, UnfittedDataset, train
from inrzoo.tasks.contrastive import Contrastive
from inrzoo.tasks.hypernetwork import Hypernetwork

begin(__doc__)

STEPS = {"tiny": 4, "small": 6000, "full": 100_000}[SCALE]
TTO = 20
"""Steps of Adam after which, and half way to which, the two INRs of a contrastive pair are taken."""
PAIRS: dict[str, Any] = {"tiny": FEW, "small": {"limit": 6000}, "full": {}}[SCALE]
# Transformers did not learn to write the presets' SIRENs of two sine layers with omega_0 = 30: 11 dB after 1,500 steps,
# as much as the mean digit has; those of three with 10 had 15 to 17 dB.
SIREN = {"inr.omega_0": 10.0, "inr.hidden_layers": 2}
SETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "mnist": ("mnist", "nfn", DIGITS),
    "pairs": ("mnist", "nfn", PAIRS),
    "omniglot": ("omniglot", "low", {}),
}
"""Dataset, preset and settings of each set of INRs."""
HIDDEN = 32  # of the SIRENs of both presets
LR = 1e-4 if SCALE == "full" else 3e-3
TOKENS: dict[str, Any] = {
    "tiny": {"features": 8, "num_layers": 1, "num_heads": 2, "mlp_features": 8},
    "small": {"features": 64, "num_layers": 2, "num_heads": 4, "mlp_features": 128},
    "full": {"features": 768, "num_layers": 6, "num_heads": 12, "mlp_features": 3072},
}[SCALE] | {"patch": 4, "dropout": 0.0}
NETWORKS: dict[str, dict[str, Any]] = {
    "Learned Init": {"name": "learned_init", "adapt": "matrices", "inner_lr": 0.1},
    "TransINR": {"name": "trans_inr", "groups": HIDDEN // 2, "grouping": "block", **TOKENS},
    "GINR-IPC": {"name": "instance_patterns", "rank": HIDDEN, **TOKENS},
}
"""Fields of each hypernetwork; inner and outer step sizes by the validation digits after 300 to 1,500 steps."""
FITTED = "fits from one start"
READERS: dict[str, tuple[str, Task]] = {
    "accuracy": ("mnist", replace(CLASSIFY, augment=NOISE)),
    "linear probe": (
        "pairs",
        Contrastive(between="views", augment=AUGMENTATIONS, projector_hidden=512, projector_features=128, **TRAINING),
    ),
    "5-way 5-shot": ("omniglot", FEW_SHOT),
}
"""Column -> the set of INRs that it is measured on, and the task."""


def described(name: str, settings: Mapping[str, Any]) -> manifest.Manifest:
    """The manifest of a set with further settings."""
    dataset, preset, own = SETS[name]
    return manifest.load(dataset, preset, {**SIREN, **own, **settings})


@cache
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


page = Comparison(DOCUMENT, "Stores made by hypernetworks", [*READERS], notes=["dB, digits", "dB, characters"])
found: dict[str, dict[str, Measurement]] = {}
for method in (FITTED, *NETWORKS):
    stores = {name: store_of(method, name) for name in SETS}
    found[method] = {}
    for column, (name, task) in READERS.items():
        found[method] |= read_by(task, stores[name], OUT / "stores" / "readers", column, column)
    page.add(method, found[method], notes=[decibels(stores[name]) for name in ("mnist", "omniglot")])
for method in NETWORKS:
    for column in READERS:
        page.check(
            f"{column}: {method}'s INRs are above fits from one start", found[method][column], found[FITTED][column]
        )
page.write(
    f"Scale `{SCALE}`: SIRENs 2/32/32/32/1, omega_0 = 10, of {DIGITS.get('limit', 70_000):,} digits and of Omniglot. "
    f"Hypernetworks were trained for {STEPS:,} steps of 16 training signals. Read by `flat_mlp` on all weights: "
    f"classification of digits, a linear probe after contrastive learning on {PAIRS.get('limit', 70_000):,} digits, "
    f"and few-shot learning of characters that no network has seen; percent on the test split with the 95 % interval "
    f"of {SEEDS} training seeds. Pairs of contrastive learning are two snapshots: after {TTO // 2} and {TTO} steps of "
    f"Adam from what a network makes, after 50 and 100 of fits."
)
