"""Novel views of unseen objects from one to five views: TransINR's Tables 3 and 4, GINR-IPC's Tables 4 and 5.

Command:  python pipelines/hypernetworks_views.py
Needs:    INRZOO_FURNITURE_VIEWS names the meshes of `furniture_views` (a folder or zip, CLASS/SPLIT/MESH), or
          INRZOO_SHAPENET the renderings of ShapeNet in the layout of TransINR's code; without either, balls made by a
          formula. INRZOO_CLASSES=chair,table takes those classes. INRZOO_SCALE: tiny|small|full.
Hardware: small: one CPU core. "full" is the papers' networks, for a GPU.
Duration: small: two CPU hours for three classes; what is there stays, the same command continues.
Expected: docs/novel_views.md.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from script import SCALE, begin
from signal_scores import compare, scores
from view_objects import DOCUMENT, OUT, SAMPLES, SIZE, classes, objects

from inrzoo.tasks import Comparison, train
from inrzoo.tasks.measurements import over_seeds_and_signals
from inrzoo.tasks.novel_views import NovelViews

begin(__doc__)

SEEDS = {"tiny": 2, "small": 3, "full": 3}[SCALE]
STEPS = {"tiny": 4, "small": 4000, "full": 100_000}[SCALE]
VIEWS = (1, 2) if SCALE == "tiny" else (1, 2, 3, 4, 5)
HIDDEN, FREQUENCIES, SIGMA = {"tiny": (8, 2, 4.0), "small": (64, 6, 16.0), "full": (256, 20, 80.0)}[SCALE]
ENCODING = {"encoding": "log_spaced", "num_frequencies": FREQUENCIES, "sigma": SIGMA}
INR: dict[str, Any] = {
    "name": "relu_mlp",
    "hidden_features": HIDDEN,
    "hidden_layers": 4 if SCALE == "full" else 2,
    **ENCODING,
}
TOKENS: dict[str, Any] = {
    "tiny": {"features": 8, "num_layers": 1, "num_heads": 2, "mlp_features": 8, "patch": 4},
    "small": {"features": 128, "num_layers": 2, "num_heads": 4, "mlp_features": 256},
    "full": {"features": 768, "num_layers": 6, "num_heads": 12, "mlp_features": 3072},
}[SCALE] | {"dropout": 0.0}
BATCH, RAYS = {"tiny": (4, 16), "small": (16, 64), "full": (32, 128)}[SCALE]
LR = 1e-4 if SCALE == "full" else 3e-3
OPTIMISED = 2 if SCALE == "tiny" else 100
STEP_SIZES = (1e-3, 3e-3) if SCALE == "tiny" else (3e-4, 1e-3, 3e-3)
INNER = {"inner_steps": 2, "inner_coords": 16 if SCALE == "tiny" else 128}

base = NovelViews(
    inr=INR, lr=LR, batch=BATCH, num_rays=RAYS, support_views=VIEWS, foreground_epochs=1 if SCALE == "full" else 50,
    steps=STEPS, warmup=STEPS // 20, validate_every=max(STEPS // 8, 1), test_tto_steps=OPTIMISED,
    test_tto_rays=1024 if SCALE == "full" else 128, test_support_views=VIEWS,
)  # fmt: skip
# Second-order steps cost more than the tokens of a transformer; the batch is smaller, and so is the step.
stepped = replace(base, batch=min(BATCH, 4), num_rays=128 if SCALE != "tiny" else RAYS, lr=LR / 3)
METHODS = {
    "TransINR": replace(base, hypernet={"name": "trans_inr", "groups": HIDDEN // 2, "grouping": "block", **TOKENS}),
    "GINR-IPC": replace(base, hypernet={"name": "instance_patterns", "rank": HIDDEN, **TOKENS}),
    "Learned Init": replace(stepped, hypernet={"name": "learned_init", "inner_lr": 0.1, **INNER}),
    "GINR-IPC by gradient steps": replace(stepped, hypernet={"name": "cavia", "rank": HIDDEN, **INNER}),
}
TOKEN_METHODS = ("TransINR", "GINR-IPC")
BASELINES = {"Standard": "standard", "Matched": "matched", "Shuffled": "shuffled"}
# From one view of ShapeNet's chairs, cars, lamps: TransINR's Table 3; of GINR-IPC its Table 4.
TABLE_3 = {
    "Standard": (12.49, 11.45, 15.47), "Matched": (16.40, 22.39, 20.79), "Shuffled": (10.76, 11.30, 13.88),
    "Learned Init": (18.85, 22.80, 22.35), "TransINR": (19.66, 23.78, 22.76), "GINR-IPC": (19.30, 24.18, 23.41),
}  # fmt: skip
TABLE_5 = {  # GINR-IPC's Table 5, of lamps, from one to five views
    ("TransINR", ""): (22.99, 24.06, 24.41, 24.77, 25.16),
    ("TransINR", "all"): (25.13, 27.28, 28.09, 28.56, 28.93),
    ("GINR-IPC", ""): (23.40, 24.33, 24.62, 26.05, 26.79),
    ("GINR-IPC", "instance"): (25.47, 27.53, 28.34, 29.52, 30.19),
    ("GINR-IPC", "all"): (25.40, 27.57, 28.40, 29.43, 30.07),
}


def named(views: int, part: str = "") -> str:
    """The name of a measurement: PSNR from so many views, as a network makes the INRs or after steps on a part."""
    return f"PSNR, {views} view{'s' * (views > 1)}" + (f", {OPTIMISED} steps on {part}" if part else "")


def folder(key: str, method: str, seed: int) -> Path:
    """The folder of a training."""
    return OUT / "runs" / key / f"{METHODS[method].hypernet['name']}-{seed}"


def measured(key: str, method: str, **changes: Any) -> dict[str, torch.Tensor]:
    """PSNR of each test object by each training, (seeds, objects).

    The step size of test-time optimisation is the best for validation objects from one view, a training at a time.
    """
    found = []
    for seed in range(SEEDS):
        task, run = replace(METHODS[method], seed=seed), folder(key, method, seed)
        by_lr = {
            lr: scores(task, DATA[key], run, "validation", **{**changes, "test_support_views": (1,), "test_tto_lr": lr})
            for lr in STEP_SIZES
        }
        best = max(by_lr, key=lambda lr: float(list(by_lr[lr].values())[-1].mean()))
        found.append(scores(task, DATA[key], run, "test", **changes, test_tto_lr=best))
    return {name: torch.stack([each[name] for each in found]) for name in found[0]}


DATA = objects()
CLASSES = classes(DATA)
found: dict[str, dict[str, dict[str, torch.Tensor]]] = {method: {} for method in (*BASELINES, *METHODS)}
for key, data in DATA.items():
    for method, task in METHODS.items():
        for seed in range(SEEDS):
            train(replace(task, seed=seed), data, folder(key, method, seed))
        found[method][key] = measured(key, method)
        if "GINR" in method:
            found[method][key] |= measured(key, method, test_tto_part="instance")
    for method, start in BASELINES.items():
        found[method][key] = measured(key, "Learned Init", test_start=start, test_support_views=(1,))


def over_all(method: str, name: str) -> torch.Tensor:
    """A measurement of all test objects of every dataset by each training, (seeds, objects)."""
    return torch.cat([each[name] for each in found[method].values()], dim=1)


def check(claim: str, better: tuple[str, str], worse: tuple[str, str], margin: float = 0.0) -> None:
    """Add a finding on the differences between measurements of the same objects, (method, name) each."""
    first, second = over_all(*better), over_all(*worse) + margin
    compare(page, claim, better[1], first, second)


ONE, OPTIMISED_ONE = named(1), named(1, "all")
columns = [f"{name}{stage}" for name in CLASSES for stage in ("", f", {OPTIMISED} steps")]
page = Comparison(DOCUMENT, "One view: TransINR's Tables 3 and 4, GINR-IPC's Table 4", columns, decimals=2)
for method in (*BASELINES, *METHODS):
    cells = [found[method][key][name][:, rows] for key, rows in CLASSES.values() for name in (ONE, OPTIMISED_ONE)]
    page.add(method, {name: over_seeds_and_signals(name, cell) for name, cell in zip(columns, cells, strict=True)})
for method in METHODS:
    own = ONE if method in TOKEN_METHODS else OPTIMISED_ONE  # the papers' protocols
    check(f"{method} is above Standard by 3 dB", (method, own), ("Standard", OPTIMISED_ONE), margin=3.0)
    check(f"{method}: test-time optimisation helps", (method, OPTIMISED_ONE), (method, ONE))
counts = ", ".join(f"{len(rows)} of {name}" for name, (_, rows) in CLASSES.items())
theirs = "; ".join(f"{name} {', '.join(f'{db:.2f}' for db in row)}" for name, row in TABLE_3.items())
page.write(
    f"Scale `{SCALE}`: {STEPS:,} steps of {BATCH} objects and {RAYS} rays ({stepped.batch} and {stepped.num_rays} by "
    f"gradient steps), one network for {' and one for '.join(DATA)}, {SEEDS} seeds; views of {SIZE}×{SIZE} pixels, "
    f"{SAMPLES} samples a ray; INR 3/{6 * FREQUENCIES}/{HIDDEN}×{INR['hidden_layers'] + 1}/4. PSNR in dB of "
    f"held-out views of test objects ({counts}), mean over views, from one support view, with 95 % intervals over "
    "seeds and objects; test-time optimisation of all weights by Adam, its step size the best of "
    f"{', '.join(f'{lr:g}' for lr in STEP_SIZES)} for validation objects. Standard, Matched and Shuffled begin at a "
    "random start, at one with the values of the learned one, and at the learned one with its numbers shuffled within "
    "each tensor. The papers' numbers are of ShapeNet's chairs, cars and lamps at 128×128, the transformers without "
    f"test-time optimisation: {theirs}."
)
columns = [named(views) for views in VIEWS]
page = Comparison(DOCUMENT, "One to five views: GINR-IPC's Table 5", columns, decimals=2)
for method in METHODS:
    for part, label in {"": "", "instance": ", steps on its own part", "all": ", steps on all"}.items():
        if all(named(1, part) in each for each in found[method].values()):
            by_views = {named(views): over_all(method, named(views, part)) for views in VIEWS}
            theirs_too = TABLE_5.get((method, part), ()) if len(VIEWS) == 5 else ()
            shown = {name: over_seeds_and_signals(name, each_SN) for name, each_SN in by_views.items()}
            page.add(f"{method}{label}", shown, theirs_too)
for method in METHODS:
    for part in ("", "all"):
        claim = f"{method}: {VIEWS[-1]} views are better than one" + (", after steps on all" if part else "")
        check(claim, (method, named(VIEWS[-1], part)), (method, named(1, part)))
page.write(
    f"As above, all test objects; networks were trained with {VIEWS[0]} to {VIEWS[-1]} support views in turn. The "
    "paper's are of lamps."
)
