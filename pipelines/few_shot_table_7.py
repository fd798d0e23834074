"""Table 7 of the few-shot paper: SIREN against an MLP with ReLU.

Command:  python pipelines/few_shot_table_7.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small", with short fits of all 1,623 characters; one GPU for "full".
Duration: small: that of Table 2, and as much for INRs with ReLU; what is there stays.
Expected: docs/few_shot.md.
"""

from few_shot import DOCUMENT, RECIPES, both, explained
from omniglot import COMPLEXITY, DATA, fitted
from script import begin

from inrzoo.tasks import Comparison

begin(__doc__)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
PAPER = {"relu_mlp": (54.2, 59.1), "siren": (56.2, 62.86)}

page = Comparison(DOCUMENT, f"Table 7: activation of the INR ({COMPLEXITY})", COLUMNS, recipes=RECIPES)
found = {}
for inr, paper in PAPER.items():
    relu = "relu-" if inr == "relu_mlp" else ""
    store = fitted(COMPLEXITY, f"{relu}fixed", {"inr.name": inr})
    measurements = both(store, f"{COMPLEXITY}-{relu}transformer")
    found[inr] = measurements[-1]
    page.add(inr, measurements, paper if COMPLEXITY == "high" else ())
for column in COLUMNS:
    page.check("SIREN is above ReLU", found["siren"][column], found["relu_mlp"][column])
page.write(*explained(DATA))
