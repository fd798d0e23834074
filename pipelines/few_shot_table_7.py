"""Table 7 of the few-shot paper: SIREN against an MLP with ReLU.

Command:  python pipelines/few_shot_table_7.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small". docs/few_shot.md and the durations were measured on a subset of Omniglot:
          the 242 characters of the archives images_background_small1/2.
Duration: small: 5 (low) or 70 (high) minutes to fit on one core, 5 to train; what is there stays.
Expected: docs/few_shot.md.
"""

import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.display import show_log
from inrzoo.tasks import Comparison, measure
from inrzoo.tasks.few_shot import FewShot

ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter).parse_args()
show_log()

SCALE = os.environ.get("INRZOO_SCALE", "small")
FEW = {"steps": 2, "query": 5, "test_query": 5, "validation_episodes": 20, "test_episodes": 20}
TRAINING = {"tiny": FEW, "small": {"steps": 1000}, "full": {"steps": 20_000}}[SCALE]
COMPLEXITY = os.environ.get("INRZOO_COMPLEXITY", "high")  # the paper's ablations are of high-complexity INRs
SOURCE = Path(os.environ["INRZOO_OMNIGLOT"]) if "INRZOO_OMNIGLOT" in os.environ else None
OUT = Path(os.environ.get("INRZOO_OUT", "out/few_shot"))
DOCUMENT = Path(os.environ.get("INRZOO_DOCUMENT", "docs/few_shot.md"))
VIEWS = {"tiny": [80, 85, 90, 95, 100]}.get(SCALE, [800, 900, 1000, 1100, 1200])
FIT = {"fit.views": VIEWS, "fit.steps": max(VIEWS)}

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
PAPER = {"relu_mlp": (54.2, 59.1), "siren": (56.2, 62.86)}

page = Comparison(DOCUMENT, f"Table 7: activation of the INR ({COMPLEXITY})", COLUMNS)
found = {}
for inr, paper in PAPER.items():
    name = f"{COMPLEXITY}-{'relu-' if inr == 'relu_mlp' else ''}"
    store = OUT / f"omniglot-{name}fixed.zarr"
    build(manifest.load("omniglot", COMPLEXITY, {"inr.name": inr, "init.mode": "fixed", **FIT}), store, source=SOURCE)
    found[inr] = measure(FewShot(view=VIEWS[2], **TRAINING), store, OUT / "runs" / f"{name}transformer")
    page.add(inr, found[inr], paper if COMPLEXITY == "high" else ())
for column in COLUMNS:
    page.check("SIREN is above ReLU", found["siren"][column], found["relu_mlp"][column])
page.write(f"Scale `{SCALE}`, {COMPLEXITY}-complexity INRs. Accuracy in percent on the test alphabets, 95 % intervals.")
