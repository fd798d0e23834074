"""Table 9 of the few-shot paper: INRs that start alike against INRs with a start of their own.

The paper says "random weights" and no more. Both readings are here: a draw for every INR, and one draw for all of them.

Command:  python pipelines/few_shot_table_9.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small". docs/few_shot.md and the durations were measured on a subset of Omniglot:
          the 242 characters of the archives images_background_small1/2.
Duration: small: 8 (low) or 70 (high) minutes to fit on one core, 10 to train; what is there stays.
Expected: docs/few_shot.md.
"""

from omniglot import COMPLEXITY, DOCUMENT, OUT, TRAINING, VIEWS, fitted
from script import SCALE, begin

from inrzoo.tasks import Comparison, measure
from inrzoo.tasks.few_shot import FewShot

begin(__doc__)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
PAPER = {"random": (55.2, 61.86), "shared": (55.2, 61.86), "fixed": (56.2, 62.86)}
# No mixtures of classes: an average of INRs with starts of their own is no INR of anything.
METHODS = {
    "transformer": {"mixtures": 0.0},
    "invariant deep sets (ours)": {"encoder": {"name": "deep_sets"}, "normalise": "per_tensor", "mixtures": 0.0},
    "transformer, canonical weights (ours)": {"inputs": "canonical", "mixtures": 0.0},
}

page = Comparison(DOCUMENT, f"Table 9: start of the fits ({COMPLEXITY})", COLUMNS)
found = {}
for init, paper in PAPER.items():
    store = fitted(COMPLEXITY, init, {"init.mode": init})
    for title, fields in METHODS.items():
        run = OUT / "runs" / f"{COMPLEXITY}-{init}-unmixed-{title.replace(' ', '-').replace(',', '')}"
        found[init, title] = measure(FewShot(view=VIEWS[2], **TRAINING, **fields), store, run)
        of_paper = COMPLEXITY == "high" and title == "transformer"
        page.add(f"{title}, {init} start", found[init, title], paper if of_paper else ())
for column in COLUMNS:
    of = {init: found[init, "transformer"][column] for init in PAPER}
    page.check("fixed starts are above a draw for every INR", of["fixed"], of["random"])
    page.check("fixed starts are above one draw for all", of["fixed"], of["shared"])
page.write(f"Scale `{SCALE}`, {COMPLEXITY}-complexity INRs. Accuracy in percent on the test alphabets, 95 % intervals.")
