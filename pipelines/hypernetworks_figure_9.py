"""GINR-IPC's Figure 9: test-time optimisation from a hypernetwork's weights against fits from random starts.

Command:  python pipelines/hypernetworks_figure_9.py
Needs:    the runs of hypernetworks_table.py, with the same environment.
Hardware: one CPU core.
Duration: small: 3 CPU minutes.
Expected: docs/hypernetworks.md.
"""

from pathlib import Path

import numpy as np
from cifar10 import DOCUMENT, OUT
from script import SCALE, begin, source

from inrzoo import manifest, open_store
from inrzoo.builder import build
from inrzoo.tasks import Comparison, Measurement

begin(__doc__)

SIGNALS = {"tiny": 60, "small": 120, "full": 600}[SCALE]
STEPS = {"tiny": [1, 3], "small": [1, 10, 30, 100, 300, 1000], "full": [1, 10, 30, 100, 300, 1000, 3000]}[SCALE]
NETWORKS = ("GINR-IPC", "TransINR", "Learned Init")

SETTINGS = {"limit": SIGNALS, "fit.lr": 1e-3, "fit.stop_psnr": None}
LATER = {"fit.views": STEPS, "fit.steps": STEPS[-1]}


def test_psnr(path: Path) -> dict[str, Measurement]:
    """The mean PSNR of each snapshot over the test images."""
    store = open_store(path)
    decibels = store.psnr[store.split == store.info.split_names.index("test"), 0]
    half, count = 1.96 * decibels.std(axis=0, ddof=1) / np.sqrt(len(decibels)), len(decibels)
    names = [f"{step} steps" for step in store.snapshots]
    numbers = zip(names, decibels.mean(axis=0), half, strict=True)
    return {name: Measurement(name, float(mean), float(width), count) for name, mean, width in numbers}


page = Comparison(
    DOCUMENT, "GINR-IPC Figure 9: from where fits start", [f"{step} steps" for step in [0, *STEPS]], decimals=2
)
found = {}
for method in NETWORKS:
    name = method.replace(" ", "-")
    start, later = OUT / "figure_9" / f"{name}-start.zarr", OUT / "figure_9" / f"{name}.zarr"
    run = OUT / "runs" / f"{name}-0"
    build(manifest.load("cifar10", overrides=SETTINGS), start, source=source("cifar10"), fitter=run)
    build(
        manifest.load("cifar10", overrides={**SETTINGS, **LATER}),
        later,
        source=source("cifar10"),
        fitter=run,
        tto=STEPS[-1],
    )
    found[method] = {**test_psnr(start), **test_psnr(later)}
    page.add(method, found[method])
inr = {f"inr.{key}": value for key, value in open_store(later).info.manifest.inr.items()}
fits = OUT / "figure_9" / "random.zarr"
build(manifest.load("cifar10", overrides={**SETTINGS, **LATER, **inr}), fits, source=source("cifar10"))
found["random"] = test_psnr(fits)
page.add("random start", found["random"])
for name in found["random"]:
    page.check(f"after {name} GINR-IPC's start is above a random one", found["GINR-IPC"][name], found["random"][name])
page.write(
    f"Scale `{SCALE}`: PSNR in dB of {found['random'][name].trials} test images of CIFAR-10 after so many steps of "
    "Adam (1e-3) on all weights, 95 % intervals over the images. The paper shows curves of ten images, no numbers."
)
