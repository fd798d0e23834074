"""How good are the INRs of the papers' settings, on real images? Writes docs/quality.md from what it measures.

Command:  python pipelines/quality.py
Needs:    MNIST, CIFAR-10 and Omniglot in folders of these names below $INRZOO_DATA (default ../shared/data).
          INRZOO_SCALE: tiny|small.
Hardware: 4 CPU cores, about three minutes.     Expected: no divergence; PSNRs as in docs/quality.md, to 0.1 dB.
Stores stay in out/quality; run again, it continues.
"""

import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

import numpy as np

import inrzoo
from inrzoo import manifest
from inrzoo.builder import build

ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter).parse_args()

DATA = Path(os.environ.get("INRZOO_DATA", "../shared/data"))
OUT = Path(os.environ.get("INRZOO_OUT", "out/quality"))
DOCUMENT = Path(os.environ.get("INRZOO_DOCUMENT", "docs/quality.md"))
SCALE = os.environ.get("INRZOO_SCALE", "small")
SIGNALS = 500
SMALLER = {"tiny": {"limit": 20, "fit.steps": 60, "fit.engine": "reference"}, "small": {}}[SCALE]
RUNS = [
    ("mnist", "contrastive", "siren", {}, ""),
    ("mnist", "contrastive", "fourier_net", {}, ""),
    ("mnist", "contrastive", "gabor_net", {}, ""),
    ("cifar10", "contrastive", "siren", {}, ""),
    ("cifar10", "contrastive", "fourier_net", {}, ""),
    ("cifar10", "contrastive", "gabor_net", {}, ""),
    ("omniglot", "low", "siren", {}, "stop at 40 dB (few-shot paper, Sec. 3.1)"),
    ("omniglot", "high", "siren", {}, "stop at 40 dB (few-shot paper, Sec. 3.1)"),
    ("mnist", "dws", "siren", {}, "stop at 40 dB (DWSNets' author)"),
    ("mnist", "nfn", "siren", {}, ""),
    ("cifar10", "nfn", "siren", {}, ""),
    ("cifar10", "implicit_zoo", "siren", {"limit": 100}, "31.01 dB (Implicit-Zoo, within 5,000 steps, stop at 30)"),
]
PUBLISHED = {  # docs/derivations/siren.md#published-sets: standard deviations of W1 W2 W3 b1 b2 b3
    ("mnist", "dws"): (0.0628, 0.0183, 0.1179, 0.0213, 0.0110, 0.0999),
    ("mnist", "nfn"): (0.2868, 0.0171, 0.0639, 0.4090, 0.1041, 0.0970),
    ("cifar10", "nfn"): (0.2803, 0.0177, 0.0546, 0.4087, 0.1039, 0.0873),
}
TENSORS = ("weight_0", "weight_1", "weight_2", "bias_0", "bias_1", "bias_2")

rows, spreads = [], []
for dataset, preset, inr, changes, published in RUNS:
    wanted = manifest.load(dataset, preset, {"limit": SIGNALS, "inr.name": inr, **changes, **SMALLER})
    path = OUT / f"{dataset}-{preset}-{inr}.zarr"
    report = build(wanted, path, source=DATA / dataset, in_process=SCALE == "tiny")
    store = inrzoo.open_store(path)
    good = store.psnr[store.select()]
    figures = [f"{figure:.2f}" for figure in (good.mean(), np.median(good), np.quantile(good, 0.05))]
    taken = f"{store.steps.mean():.0f} of {store.snapshots[-1]}"
    stopped, above = f"{(store.status == 2).mean():.0%}", f"{store.out_of_band[store.select()].mean():.2%}"
    cells = [dataset, preset, inr, store.num_signals, *figures, taken, stopped, report.diverged, above, published]
    rows.append(f"| {' | '.join(map(str, cells))} |")
    if (dataset, preset) in PUBLISHED:
        names = [tensor.name for tensor in store.layout.tensors]
        ours = [store.stats["tensor_std"][0, names.index(name)] for name in TENSORS]
        cells = (f"{a:.4f} / {b:.4f} ({a / b - 1:+.0%})" for a, b in zip(ours, PUBLISHED[dataset, preset], strict=True))
        spreads.append(f"| {dataset} {preset} | {' | '.join(cells)} |")

DOCUMENT.write_text(
    f"""# Quality of the INRs, by paper and preset

Made by `python pipelines/quality.py`: one seed, an even share of every class.
PSNR over INRs that did not diverge, peak 1 on the [0, 1] scale, unclamped. "Above Nyquist" is the share of spectral
energy outside the fitting grid's Nyquist box, on a four times finer grid.

| dataset | preset | INR | signals | mean dB | median | 5 % | steps | stopped | diverged | above Nyquist | published |
|---|---|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

## Do the sets match the published ones?

Standard deviation of each tensor over the training split, ours / published (typed into neural-graphs' configuration):

| set | W1 | W2 | W3 | b1 | b2 | b3 |
|---|---|---|---|---|---|---|
{chr(10).join(spreads)}
"""
)
print(DOCUMENT.read_text())
