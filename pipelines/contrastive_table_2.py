"""Table 2 of the contrastive paper: SIREN and MFN, MNIST and CIFAR-10, supervised and contrastive; who aligns two fits.

Command:  python pipelines/contrastive_table_2.py
Needs:    MNIST, CIFAR-10, fetched unless INRZOO_MNIST, INRZOO_CIFAR10 name files. INRZOO_SCALE: tiny|small|full.
Hardware: one CPU core for SCALE = "small": MNIST, 10,000 images x 2 seeds. "full" is all images x 30 seeds, for a GPU.
          INRZOO_SETS chooses among siren-mnist, fourier_net-mnist, siren-cifar10, fourier_net-cifar10.
Duration: small: 10 minutes a store and 15 to train on it, one core; what is there stays.
Expected: docs/contrastive.md.
"""

import json
import os
from dataclasses import replace

from script import SCALE, begin, folders, source

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.loaders import load
from inrzoo.short_forms import short_table
from inrzoo.tasks import Comparison, cost, measure
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.contrastive import Contrastive

begin(__doc__)

SETS = os.environ.get("INRZOO_SETS", "siren-mnist,fourier_net-mnist").split(",")
OUT, DOCUMENT = folders("out/contrastive", "docs/contrastive.md")
TINY = {"limit": 120, "seeds": 2, "source.num_validation": 30, "fit.steps": 30, "fit.engine": "reference"}
STORE = {"tiny": TINY, "small": {"limit": 10_000, "seeds": 2}, "full": {"seeds": 30}}[SCALE]
STEPS = {"tiny": 10, "small": 2500, "full": 100_000}[SCALE]
SUPERVISED_STEPS = {"tiny": 10, "small": 1500, "full": 100_000}[SCALE]
SLOW_STEPS = {"tiny": 10, "small": 600, "full": 100_000}[SCALE]  # of an encoder that takes twice the time

# Of the strengths tried (10° to 45° and so on) the weakest were best on the validation split, of the step sizes these.
COMMON = {
    "inputs": "canonical", "batch_size": 16 if SCALE == "tiny" else 128, "warmup": min(100, STEPS),
    "augment": (short_table("scale", 0.05), short_table("rotate", 10.0), short_table("translate", 0.05)),
    "validate_every": max(1, SUPERVISED_STEPS // 5),
}  # fmt: skip
SIGMA = {"siren": {}, "fourier_net": {"sigma": 0.2}}  # of 0.1 to 1, by supervised accuracy on the validation split
FLAT = {"name": "flat_mlp", "tensors": "all", "hidden_features": 256, "out_features": 128}
EQUIVARIANT = {"name": "equivariant_mlp", "hidden_features": 24, "num_layers": 3}
METHODS = {
    "supervised, message_passing": Classify(steps=SUPERVISED_STEPS, lr=4e-3, **COMMON),
    "contrastive, message_passing": Contrastive(steps=STEPS, lr=2e-3, **COMMON),
    "contrastive, equivariant_mlp": Contrastive(steps=SLOW_STEPS, lr=2e-3, encoder=EQUIVARIANT, **COMMON),
    "contrastive, flat_mlp": Contrastive(steps=STEPS, lr=2e-3, encoder=FLAT, **COMMON),
    "no encoder, canonical weights": Contrastive(steps=1, encoder={"name": "raw"}, **COMMON),
    "no encoder, weights": Contrastive(steps=1, encoder={"name": "raw"}, **{**COMMON, "inputs": "weights"}),
}
if SCALE == "full":
    METHODS["supervised, relational_transformer"] = Classify(steps=STEPS, **COMMON)
    METHODS["contrastive, relational_transformer"] = Contrastive(steps=STEPS, **COMMON)
PAPER = {
    "siren-mnist": (95.16, 53.01), "siren-cifar10": (59.28, 36.01),
    "fourier_net-mnist": (54.71, 42.97), "fourier_net-cifar10": (40.21, 30.71),
}  # fmt: skip
SHORT = {"linear probe": "accuracy", "k-nearest neighbours": "k-NN"}
NOTES = ["INRs", "steps × batch", "on", "minutes"]
page = Comparison(DOCUMENT, "Table 2", ["accuracy", "k-NN", "top-1", "top-5"], notes=NOTES)
words = [f"Scale `{SCALE}`. Percent on the test split, 95 % intervals; where nothing is supervised, of a linear probe."]
for name in SETS:
    inr, data = name.split("-")
    store = OUT / f"{name}.zarr"
    build(manifest.load(data, "contrastive", {"inr.name": inr, **STORE}), store, source=source(data))
    built = json.loads(store.with_suffix(".build.json").read_text())
    words.append(f"{name}: {built['num_inrs']} INRs, {built['psnr_mean']:.1f} dB, {built['seconds'] / 60:.0f} minutes.")
    count, found = str(len(load(store, split="train"))), {}
    for method, task in METHODS.items():
        if method.endswith("message_passing"):
            task = replace(task, encoder={"name": "message_passing", **SIGMA[inr]})
        run = OUT / "runs" / f"{name}-{method.replace(', ', '-').replace(' ', '-')}"
        named = {key.split(" of ")[0]: one for key, one in measure(task, store, run).items()}
        found[method] = {SHORT.get(key, key): replace(one, name=SHORT.get(key, key)) for key, one in named.items()}
        paper = PAPER[name][method.startswith("contrastive")] if method.endswith(("passing", "transformer")) else None
        notes = [count, f"{task.steps} × {task.batch_size}", cost(run).device, cost(run).minutes]
        page.add(f"{name}: {method}", found[method], (paper, None, None, None), notes)
    best = found["contrastive, message_passing"]
    for other in ("contrastive, flat_mlp", "no encoder, canonical weights", "no encoder, weights"):
        for column in ("accuracy", "top-1"):
            page.check(f"{name}: contrastive message_passing above {other}", best[column], found[other][column])
    words[-1] = f"{words[-1][:-1]}, top-k of {best['top-1'].trials} candidates."
    page.write(" ".join(words))  # as far as it is: the next set may take long
