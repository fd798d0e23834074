"""What the frequency of SIRENs is worth to readers of their weights: omega_0 and depth, with one start for all.

Command:  python pipelines/frequency_table.py
Needs:    MNIST and Omniglot, fetched unless INRZOO_MNIST and INRZOO_OMNIGLOT name their files.
          INRZOO_SCALE: tiny|small|full.
Hardware: small: one CPU core, 14,000 digits and all of Omniglot. "full" is all digits and fits of 1,000 steps.
Duration: small: 2 and 4 minutes a store, of which there are 10, and half a minute for a reader, of which there are 30;
          what is there stays, the same command continues.
Expected: docs/recipes.md, section "What the frequency of SIRENs is worth".
"""

from pathlib import Path
from typing import Any

from one_start import CLASSIFY, DIGITS, FEW_SHOT, FITS, SEEDS, STEPS, decibels, read_by
from script import SCALE, begin, folders, source

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.tasks import Comparison, Measurement, Task

begin(__doc__)

OUT, DOCUMENT = folders("out/frequency", "docs/recipes.md")
FIT_STEPS = {"tiny": 100, "small": 100, "full": 1000}[SCALE]
SIRENS = [(30.0, 2), (10.0, 2), (5.0, 2), (30.0, 3), (10.0, 3)]
"""omega_0 and sine layers of each row."""
READERS: dict[str, tuple[str, str, dict[str, Any], Task, str]] = {
    "digits": ("mnist", "nfn", DIGITS, CLASSIFY, "accuracy"),
    "characters, 5-way 5-shot": ("omniglot", "low", {}, FEW_SHOT, "5-way 5-shot"),
}
"""Column -> dataset, preset, further settings, what reads it, and the measure."""


def stored(dataset: str, preset: str, some: dict[str, Any], omega: float, layers: int) -> Path:
    """The store of a row, which is built unless it is there."""
    changes = {"fit.steps": FIT_STEPS, "inr.omega_0": omega, "inr.hidden_layers": layers - 1}
    store = OUT / f"{dataset}-{omega:g}-{layers}.zarr"
    build(manifest.load(dataset, preset, {**some, **FITS, **changes}), store, source=source(dataset), in_process=True)
    return store


page = Comparison(DOCUMENT, "What the frequency of SIRENs is worth", [*READERS], notes=["dB, digits", "dB, characters"])
found: dict[tuple[float, int], dict[str, Measurement]] = {}
for omega, layers in SIRENS:
    found[omega, layers], notes = {}, []
    for column, (dataset, preset, some, task, measured) in READERS.items():
        store = stored(dataset, preset, some, omega, layers)
        notes.append(decibels(store))
        found[omega, layers] |= read_by(task, store, OUT / "runs", measured, column)
    page.add(f"omega_0 = {omega:g}, {layers} sine layers", found[omega, layers], notes=notes)
for layers in (2, 3):
    for column in READERS:
        low, high = (found[omega, layers][column] for omega in (10.0, 30.0))
        page.check(f"{column}, {layers} sine layers: omega_0 = 10 is above 30", low, high)
page.write(
    f"Scale `{SCALE}`: SIRENs of 32 neurons a layer, one start for all, {FIT_STEPS} steps of 2e-3, or fewer to 35 dB. "
    f"`flat_mlp` on all weights reads {DIGITS.get('limit', 70_000):,} digits (classification, {STEPS:,} steps) and all "
    f"of Omniglot (few-shot learning of new characters, [its recipe](few_shot.md)). Percent on the test split with the "
    f"95 % interval of {SEEDS} training seeds; dB are means of all INRs."
)
