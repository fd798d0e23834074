"""Table 8 of the few-shot paper: with and without normalisation of the weights.

Command:  python pipelines/few_shot_table_8.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small". docs/few_shot.md and the durations were measured on a subset of Omniglot:
          the 242 characters of the archives images_background_small1/2.
Duration: small: 35 minutes to fit on one core, 15 to train; what is there stays.
Expected: docs/few_shot.md.
"""

from omniglot import COMPLEXITY, DOCUMENT, OUT, TRAINING, VIEWS, fitted
from script import SCALE, begin

from inrzoo.tasks import Comparison, measure
from inrzoo.tasks.few_shot import FewShot

begin(__doc__)

store = fitted(COMPLEXITY)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
PAPER = {"none": (32.67, 34.2), "per_tensor": (), "per_parameter": (56.2, 62.86)}

page = Comparison(DOCUMENT, f"Table 8: normalisation ({COMPLEXITY})", COLUMNS)
found = {}
for kind, paper in PAPER.items():
    run = f"{COMPLEXITY}-transformer" + ("" if kind == "per_parameter" else f"-{kind}")
    # `auto` is per parameter where all INRs started alike: the run is that of Table 2.
    task = FewShot(view=VIEWS[2], **TRAINING, normalise="auto" if kind == "per_parameter" else kind)
    found[kind] = measure(task, store, OUT / "runs" / run)
    page.add(kind, found[kind], paper if COMPLEXITY == "high" else ())
for column in COLUMNS:
    page.check("normalised is above not normalised", found["per_parameter"][column], found["none"][column])
    page.check("per parameter is above per tensor (ours)", found["per_parameter"][column], found["per_tensor"][column])
page.write(f"Scale `{SCALE}`, {COMPLEXITY}-complexity INRs. Accuracy in percent on the test alphabets, 95 % intervals.")
