"""Table 7 of the few-shot paper: SIREN against an MLP with ReLU.

Command:  python pipelines/few_shot_table_7.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small". docs/few_shot.md and the durations were measured on a subset of Omniglot:
          the 242 characters of the archives images_background_small1/2.
Duration: small: 5 (low) or 70 (high) minutes to fit on one core, 5 to train; what is there stays.
Expected: docs/few_shot.md.
"""

from omniglot import COMPLEXITY, DOCUMENT, OUT, TRAINING, VIEWS, fitted
from script import SCALE, begin

from inrzoo.tasks import Comparison, measure
from inrzoo.tasks.few_shot import FewShot

begin(__doc__)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
PAPER = {"relu_mlp": (54.2, 59.1), "siren": (56.2, 62.86)}

page = Comparison(DOCUMENT, f"Table 7: activation of the INR ({COMPLEXITY})", COLUMNS)
found = {}
for inr, paper in PAPER.items():
    relu = "relu-" if inr == "relu_mlp" else ""
    store = fitted(COMPLEXITY, f"{relu}fixed", {"inr.name": inr})
    found[inr] = measure(FewShot(view=VIEWS[2], **TRAINING), store, OUT / "runs" / f"{COMPLEXITY}-{relu}transformer")
    page.add(inr, found[inr], paper if COMPLEXITY == "high" else ())
for column in COLUMNS:
    page.check("SIREN is above ReLU", found["siren"][column], found["relu_mlp"][column])
page.write(f"Scale `{SCALE}`, {COMPLEXITY}-complexity INRs. Accuracy in percent on the test alphabets, 95 % intervals.")
