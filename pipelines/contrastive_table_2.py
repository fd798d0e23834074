"""Table 2 of the contrastive paper: SIREN and MFN, MNIST and CIFAR-10, supervised and contrastive, over seeds an image.

Command:  python pipelines/contrastive_table_2.py
Needs:    MNIST, CIFAR-10, fetched unless INRZOO_MNIST, INRZOO_CIFAR10 name files. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small": all images x 2 seeds, and 6,000 images x 10 seeds for the curve over seeds
          and for the paper's encoder. "full" is all images x 30 seeds, for a GPU.
          INRZOO_SETS chooses among siren-mnist, fourier_net-mnist, siren-cifar10, fourier_net-cifar10;
          INRZOO_TRAININGS is the number of training seeds, 3; INRZOO_IMAGES limits the images of all,
          INRZOO_STEPS and INRZOO_BATCH shorten trainings on all.
Duration: small: 2 hours a set on one core; what is there stays, and the same command continues.
Expected: docs/contrastive.md, a section a set.
"""

import math
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import contrastive_sets as sets
from contrastive_sets import contrastive, measured, supervised
from script import SCALE, begin
from small_encoders import RELATIONAL

from inrzoo.tasks import Comparison, Measurement
from inrzoo.tasks.classify import Classify
from inrzoo.tasks.contrastive import Contrastive

begin(__doc__)

IMAGES = int(os.environ.get("INRZOO_IMAGES", 0)) or None
ALL: dict[str, Any] = {"limit": IMAGES, "seeds": 30 if SCALE == "full" else 2}
SEEDS = {"tiny": (2, 3), "small": (2, 5, 10), "full": (2, 5, 10, 30)}[SCALE]
PART: dict[str, Any] = {"limit": {"tiny": 120, "small": 6000, "full": None}[SCALE], "seeds": max(SEEDS)}
PART_STEPS = {"tiny": 10, "small": 1000, "full": 100_000}[SCALE]
PAPER_STEPS = {"tiny": 2, "small": 600, "full": 100_000}[SCALE]

# Few steps are taken on a core.
SMALLER = {**RELATIONAL, "inrs_at_once": 0}
TRANSFORMER = {"name": "relational_transformer", **(SMALLER if SCALE != "full" else {})}
PAPER = {
    "siren-mnist": (95.16, 53.01), "siren-cifar10": (59.28, 36.01),
    "fourier_net-mnist": (54.71, 42.97), "fourier_net-cifar10": (40.21, 30.71),
}  # fmt: skip
COLUMNS = ["accuracy", "k-NN", "top-1", "top-5"]

PLAIN = {"no encoder, canonical weights": "raw", "no encoder, weights": "raw, as fitted"}
SENTENCE = "Percent on the test split, 95 % intervals: Student's over trainings; of one, over INRs."


class Row(NamedTuple):
    """A row of the table: what is trained, the name of its runs, and the paper's accuracy."""

    title: str
    task: Classify | Contrastive
    run: str
    paper: float | None = None
    trainings: int = sets.TRAININGS


def rows_of_all(name: str) -> Iterator[Row]:
    """Rows of the store of all images."""
    graded = ["graded_message_passing"] if name.startswith("siren") else []
    for kind in (*graded, "message_passing"):
        yield Row(f"contrastive, {kind}", contrastive(name, kind, sets.STEPS), f"contrastive-{kind}", PAPER[name][1])
    task = supervised(name, "message_passing", sets.STEPS)
    yield Row("supervised, message_passing", task, "supervised", PAPER[name][0])
    for kind in ("function_probe", "flat_mlp"):
        yield Row(f"contrastive, {kind}", contrastive(name, kind, sets.STEPS), f"contrastive-{kind}")
    for title, kind in PLAIN.items():
        run = title.replace(", ", "-").replace(" ", "-")
        yield Row(title, contrastive(name, kind, 1), run, trainings=1)


def rows_of_part(name: str) -> Iterator[Row]:
    """Rows of the store of few images and many seeds."""
    for count in SEEDS:
        task = contrastive(name, "message_passing", PART_STEPS, train_seeds=count)
        yield Row(curve(count), task, f"seeds-{count}")
    task = contrastive(name, "message_passing", PAPER_STEPS, lr=1e-3, encoder=TRANSFORMER)
    title = "part: contrastive, relational_transformer"
    yield Row(title, task, "relational_transformer", PAPER[name][1], trainings=1)


def curve(count: int) -> str:
    """Title of a row of the curve over seeds."""
    return f"part, {count} seeds: contrastive, message_passing"


lost: dict[str, Measurement] = {}
for name in sets.SETS:
    page = Comparison(sets.DOCUMENT, f"Table 2: {name}", COLUMNS, notes=sets.NOTES)
    words, found = [f"Scale `{SCALE}`. {SENTENCE}"], {}
    for part, images, rows in (("", ALL, rows_of_all), ("-seeds", PART, rows_of_part)):
        store = sets.fitted(name, part, images)
        words.append(sets.facts(store))
        for title, task, run, paper, trainings in rows(name):
            found[title] = measured(task, store, f"{name}-{run}", trainings)
            notes = sets.notes(task, store, f"{name}-{run}", trainings)
            page.add(title, found[title], (paper, None, None, None), notes)
            page.write(" ".join(words))  # as far as it is: the next row may take long

    best = found["contrastive, message_passing"]
    for other in ("contrastive, flat_mlp", *PLAIN):
        for column in ("accuracy", "top-1"):
            page.check(f"{name}: contrastive message_passing above {other}", best[column], found[other][column])
    for column in ("accuracy", "top-1"):
        many, few = found[curve(SEEDS[-1])][column], found[curve(SEEDS[0])][column]
        page.check(f"{name}: {SEEDS[-1]} seeds an image above {SEEDS[0]}", many, few)
    with_labels, without = found["supervised, message_passing"]["accuracy"], best["accuracy"]
    interval = math.hypot(with_labels.interval, without.interval)
    lost[name] = Measurement("accuracy lost", with_labels.mean - without.mean, interval, with_labels.trials)
    siren, mfn = (lost.get(f"{inr}-{name.split('-')[1]}") for inr in ("siren", "fourier_net"))
    if siren and mfn:
        page.check(f"{name}: without labels a SIREN loses more accuracy than a FourierNet", siren, mfn)
    page.write(" ".join(words))
