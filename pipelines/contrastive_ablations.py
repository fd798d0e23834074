"""What contrastive learning owes to each augmentation, to pairs of seeds, and to INRs without aliasing.

Command:  python pipelines/contrastive_ablations.py
Needs:    MNIST, fetched unless INRZOO_MNIST names its files. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small": 6,000 digits x 2 seeds a store. "full" is all digits, for a GPU.
          INRZOO_PARTS chooses among augmentations, anti-aliasing; INRZOO_TRAININGS is the number of training seeds, 3.
Duration: small: half an hour to fit, an hour to train, one core; what is there stays.
Expected: docs/contrastive.md.
"""

import os
from typing import Any

import contrastive_sets as sets
from contrastive_sets import contrastive, measured
from script import SCALE, begin

from inrzoo.tasks import Comparison

begin(__doc__)

PARTS = os.environ.get("INRZOO_PARTS", "augmentations,anti-aliasing").split(",")
LIMIT = {"tiny": 120, "small": 6000, "full": None}[SCALE]
STEPS = {"tiny": 6, "small": 1000, "full": 100_000}[SCALE]
COLUMNS = ["accuracy", "k-NN", "top-1", "top-5"]
SENTENCE = f"Scale `{SCALE}`. Percent on the test split, 95 % intervals: Student's over trainings; of one, over INRs."

# Of each fit snapshots, so that pairs of snapshots and pairs of seeds are drawn from one store.
VIEWS = [10, 20, 30] if SCALE == "tiny" else [100, 200, 300]
SNAPSHOTS = {"limit": LIMIT, "seeds": 2, "fit.steps": VIEWS[-1], "fit.views": VIEWS, "fit.stop_psnr": 0.0}

# Filters that together start at twice Nyquist: without anti-aliasing a quarter of their spectrum is beyond it.
ALIASED = {"limit": LIMIT, "seeds": 2, "inr.filter_init": "nyquist_fraction", "inr.nyquist_fraction": 2.0}
REGULARISERS: dict[str, dict[str, Any]] = {
    "none": {},
    "l0_surrogate, the paper's eq. 9": {"antialias.weight": 1.0, "antialias.regulariser": "l0_surrogate"},
    "projection": {"antialias.regulariser": "projection"},
}

if "augmentations" in PARTS:
    name, found = "siren-mnist", {}
    store = sets.fitted(name, "-snapshots", SNAPSHOTS)
    rows: dict[str, dict[str, Any]] = {"all": {"augment": sets.AUGMENTATIONS}}
    for left_out in sets.AUGMENTATIONS:
        others = tuple(one for one in sets.AUGMENTATIONS if one is not left_out)
        rows[f"without {left_out['name']}"] = {"augment": others}
    rows["motions alone"] = {"augment": sets.MOTIONS}
    rows["none: two seeds alone"] = {"augment": ()}
    rows["all, snapshots in place of seeds"] = {"augment": sets.AUGMENTATIONS, "between": "views"}
    page = Comparison(sets.DOCUMENT, "What each augmentation is worth", COLUMNS, notes=sets.NOTES)
    for title, fields in rows.items():
        task = contrastive(name, "message_passing", STEPS, **fields)
        run = f"ablation-{title.replace(' ', '-').replace(',', '').replace(':', '')}"
        found[title] = measured(task, store, run, sets.TRAININGS)
        page.add(title, found[title], notes=sets.notes(task, store, run, sets.TRAININGS))
        page.write(f"{SENTENCE} {sets.facts(store)}")
    for title in rows:
        for column in ("accuracy", "top-1") if title != "all" else ():
            page.check(f"all augmentations, pairs of seeds: above {title}", found["all"][column], found[title][column])
    page.write(f"{SENTENCE} {sets.facts(store)}")

if "anti-aliasing" in PARTS:
    name, found, words = "fourier_net-mnist", {}, [SENTENCE]
    page = Comparison(sets.DOCUMENT, "Anti-aliasing and features", COLUMNS, notes=sets.NOTES)
    for title, settings in REGULARISERS.items():
        kind = title.split(",")[0]
        store = sets.fitted(name, f"-2nyquist-{kind}", {**ALIASED, **settings})
        task = contrastive(name, "message_passing", STEPS)
        found[title] = measured(task, store, f"antialias-{kind}", sets.TRAININGS)
        page.add(title, found[title], notes=sets.notes(task, store, f"antialias-{kind}", sets.TRAININGS))
        words.append(sets.facts(store))
        page.write(" ".join(words))
    for title in list(REGULARISERS)[1:]:
        for column in ("accuracy", "top-1"):
            page.check(f"regularised INRs ({title}) give better features", found[title][column], found["none"][column])
    page.write(" ".join(words))
