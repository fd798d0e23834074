"""MWT's rows (Gielisse & van Gemert 2025) for MNIST, Fashion-MNIST and CIFAR-10: classification through INRs.

Command:  python pipelines/end_to_end_table.py
Needs:    MNIST, Fashion-MNIST, CIFAR-10, fetched unless INRZOO_MNIST, INRZOO_FASHION_MNIST, INRZOO_CIFAR10 name their
          files; INRZOO_DATASETS=mnist,cifar10 takes those two alone. INRZOO_SCALE: tiny|small|full.
Hardware: small: one CPU core. "full" is the paper's size, ten epochs, and meant for a GPU.
Duration: small: 35 CPU minutes with MNIST and CIFAR-10; what is there stays, the same command continues.
Expected: docs/end_to_end.md.
"""

import os
import time

from script import SCALE, begin, folders, source

from inrzoo import manifest, open_store
from inrzoo.builder import build
from inrzoo.tasks import Comparison, Measurement, UnfittedDataset, measure
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.end_to_end import EndToEnd

begin(__doc__)

DATASETS = os.environ.get("INRZOO_DATASETS", "mnist,fashion_mnist,cifar10").split(",")
OUT, DOCUMENT = folders("out/end_to_end", "docs/end_to_end.md")
HIDDEN, LAYERS = {"tiny": (8, 1), "small": (48, 1), "full": (128, 4)}[SCALE]
STEPS = {"tiny": 4, "small": 9000, "full": 40_000}[SCALE]
SHARES = {"cifar10": 3} if SCALE == "small" else {}  # one step of colour pictures takes three times as long
SIZES = {"tiny": (8, 1, 8, 1), "small": (64, 2, 32, 2), "full": (128, 10, 64, 1)}[SCALE]
CLASSIFIER = dict(zip(("features", "num_layers", "head_features", "mlp_ratio"), SIZES, strict=True))
INNER = {"inner_steps": 6, "inner_fraction": 1.0} if SCALE == "full" else {"inner_steps": 3, "inner_fraction": 0.5}
RATES = (1e-4, 100.0, 1.0) if SCALE == "full" else (1e-3, 20.0, 2.0)  # start; learned rates and classifier relative
FITS = {"tiny": 60, "small": 14_000, "full": 70_000}[SCALE]  # signals to fit one by one: they take half of the time
INR = {"name": "siren", "convention": "mwt", "omega_0": 10.0, "hidden_features": HIDDEN, "hidden_layers": LAYERS}
PAPER = {"cifar10": (59.6, None, None)}  # no other number of these rows is known to us


def schedule(dataset: str) -> dict[str, float]:
    """Steps, and what is measured in them."""
    steps = STEPS // SHARES.get(dataset, 1)
    return {"steps": steps, "warmup": steps // 20, "weight_decay": 1e-4, "validate_every": max(steps // 10, 1)}


def trained(dataset: str, task_weight: float) -> dict[str, Measurement]:
    """MWT, measured on the test split."""
    network = {"name": "end_to_end", "task_weight": task_weight, **CLASSIFIER, **INNER}
    rates = {"lr": RATES[0], "rates_factor": RATES[1], "classifier_factor": RATES[2]}
    task = EndToEnd(inr=INR, hypernet=network, test_inner_fraction=1.0, **rates, **schedule(dataset))
    signals = manifest.load(dataset, overrides={"limit": 100} if SCALE == "tiny" else {})
    return measure(task, UnfittedDataset(signals, source(dataset)), OUT / "runs" / f"{dataset}-{task_weight:g}")


def of_fits(dataset: str) -> dict[str, Measurement]:
    """The same classifier, on INRs that were fitted one by one, each from its own start."""
    store, took = OUT / f"{dataset}.zarr", OUT / f"{dataset}.cpu_seconds"
    settings = {"limit": FITS, "fit.steps": 200, "fit.lr": 2e-3, "fit.stop_psnr": None}
    wanted = manifest.load(dataset, overrides={**settings, **{f"inr.{key}": value for key, value in INR.items()}})
    started = time.process_time()
    if build(wanted, store, source=source(dataset), in_process=True).fitted:
        took.write_text(str(time.process_time() - started))
    encoder, lr = {"name": "weight_transformer", **CLASSIFIER}, RATES[0] * RATES[2]
    task = Classify(encoder=encoder, batch_size=16, lr=lr, augment=(), **schedule(dataset))
    found = measure(task, store, OUT / "runs" / f"{dataset}-fits")
    minutes = found["CPU minutes"].mean + float(took.read_text()) / 60
    numbers = {"PSNR": float(open_store(store).psnr.mean()), "CPU minutes": minutes}
    return found | {name: Measurement(name, number, 0.0, 1) for name, number in numbers.items()}


page = Comparison(DOCUMENT, "Classification through INRs", ["accuracy", "PSNR", "CPU minutes"])
for dataset in DATASETS:
    rows = {"MWT": trained(dataset, 0.01)}
    if dataset == "mnist":
        rows |= {"MWT, w_task = 0": trained(dataset, 0.0), "same classifier, fitted SIRENs": of_fits(dataset)}
    for name, found in rows.items():
        page.add(f"{dataset}: {name}", found, PAPER.get(dataset, ()) if name == "MWT" else ())
        if name != "MWT":
            page.check(f"{dataset}: MWT is above {name}", rows["MWT"]["accuracy"], found["accuracy"])
fewer = "".join(f", {name} {STEPS // share:,}" for name, share in SHARES.items())
page.write(
    f"Scale `{SCALE}`: SIREN of {LAYERS + 1} sine layers of {HIDDEN}, {INNER['inner_steps']} inner steps on "
    f"{INNER['inner_fraction']:.0%} of the pixels and on all where it is measured (chosen by validation), {STEPS:,} "
    f"training steps{fewer} of 16 signals, the best by validation. Accuracy in %, PSNR in dB on the test split."
)
