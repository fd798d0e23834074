"""Supervised classification of SIRENs, the field's benchmark: accuracy over the number of images learned from.

Command:  python pipelines/contrastive_supervised.py
Needs:    MNIST, CIFAR-10, fetched unless INRZOO_MNIST, INRZOO_CIFAR10 name files. INRZOO_SCALE: tiny|small|full.
Hardware: one CPU core for SCALE = "small", 10,000 images; "full" is all images and 100,000 steps, for a GPU.
          INRZOO_SETS chooses among mnist-nfn, mnist-dws, cifar10-nfn, cifar10-dws: the conventions of NFN and DWSNets.
Duration: small: 5 to 10 minutes a store and 10 to 20 to train on it, one core; what is there stays.
Expected: docs/contrastive.md.
"""

import json
import os

from script import SCALE, begin, folders, source

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.loaders import load
from inrzoo.short_forms import short_table
from inrzoo.tasks import Comparison, cost, measure
from inrzoo.tasks.classify import Classify

begin(__doc__)

SETS = os.environ.get("INRZOO_SETS", "mnist-nfn,mnist-dws,cifar10-nfn").split(",")
OUT, DOCUMENT = folders("out/contrastive", "docs/contrastive.md")
TINY = {"source.num_validation": 30, "fit.steps": 30, "fit.engine": "reference"}
STORE = {"tiny": TINY, "small": {}, "full": {}}[SCALE]
LIMITS = {"tiny": {"mnist-nfn": 120}, "small": {"mnist-nfn": 10_000, "mnist-dws": 3000, "cifar10-nfn": 2000}}
SIGNALS = {"tiny": (20, 0), "small": (1000, 3000, 0), "full": (1000, 10_000, 0)}[SCALE]  # 0: all of the training split
BATCH = {"tiny": 16, "small": 128, "full": 128}[SCALE]

# On a CPU the authors' relational transformer takes 0.1 s an INR; this one 0.02 s, and few steps are taken.
SMALLER = {
    "num_layers": 3, "num_heads": 4, "node_features": 32, "edge_features": 16, "attention_features": 32,
    "node_hidden": 64, "edge_hidden": 32, "num_frequencies": 32, "inrs_at_once": 0,
}  # fmt: skip
RECIPE = {
    "inputs": "canonical",
    "augment": (short_table("scale", 0.05), short_table("rotate", 10.0), short_table("translate", 0.05)),
}
ENCODERS = {  # arguments, steps at scale small, step size, numbers of images
    "message_passing": ({}, 1500, 4e-3, SIGNALS),
    "flat_mlp": ({"tensors": "all", "hidden_features": 256, "out_features": 128}, 1500, 2e-3, SIGNALS),
    "equivariant_mlp": ({"hidden_features": 24, "num_layers": 3}, 600, 2e-3, (SIGNALS[0], 0)),
    "relational_transformer": (SMALLER if SCALE != "full" else {}, 800, 1e-3, (0,)),
}
PAPER = {"mnist": 95.16, "cifar10": 59.28}

NOTES = ["images", "INRs", "steps × batch", "on", "minutes"]
page = Comparison(DOCUMENT, "Supervised", ["accuracy"], notes=NOTES)
words = [f"Scale `{SCALE}`. Percent on the test split, 95 % intervals. The paper's number is of 30 INRs an image."]
for name in SETS:
    data, preset = name.split("-")
    store = OUT / f"{name}.zarr"
    settings = STORE if SCALE == "full" else {**STORE, "limit": LIMITS[SCALE][name]}
    build(manifest.load(data, preset, settings), store, source=source(data), in_process=SCALE == "tiny")
    built = json.loads(store.with_suffix(".build.json").read_text())
    words.append(f"{name}: {built['num_inrs']} INRs, {built['psnr_mean']:.1f} dB, {built['seconds'] / 60:.0f} minutes.")
    signal, found = load(store, split="train")[:].signal, {}
    all_images = len(signal.unique())
    for encoder, (arguments, small_steps, lr, curve) in ENCODERS.items():
        if SCALE == "small" and name != SETS[0] and curve != SIGNALS:
            continue  # the slow encoders once
        slow = encoder == "relational_transformer" and SCALE == "small"
        steps, batch = {"tiny": 5, "small": small_steps, "full": 100_000}[SCALE], BATCH // 4 if slow else BATCH
        for signals in curve if name == SETS[0] else (0,):
            task = Classify(encoder={"name": encoder, **arguments}, steps=steps, lr=lr, **RECIPE,
                            warmup=min(100, steps), batch_size=batch, train_signals=signals,
                            validate_every=max(1, steps // 5))  # fmt: skip
            run = OUT / "runs" / f"{name}-{encoder}-{signals or 'all'}"
            found[encoder, signals] = measure(task, store, run)
            images = signals or all_images
            inrs = str(images * len(signal) // all_images)
            paper = PAPER[data] if encoder == "relational_transformer" and not signals else None
            notes = [str(images), inrs, f"{steps} × {batch}", cost(run).device, cost(run).minutes]
            page.add(f"{name}: {encoder}", found[encoder, signals], [paper], notes)
    for encoder in ENCODERS:
        of = [found[encoder, signals]["accuracy"] for signals in SIGNALS if (encoder, signals) in found]
        if len(of) > 1:
            page.check(f"{name}: {encoder} learns more from more images", of[-1], of[0])
        if of and encoder != "flat_mlp":
            page.check(f"{name}: {encoder} above flat_mlp", of[-1], found["flat_mlp", 0]["accuracy"])
    page.write(" ".join(words))  # as far as it is: the next set may take long
