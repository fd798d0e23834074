"""Table 8 of the few-shot paper: with and without normalisation of the weights.

Command:  python pipelines/few_shot_table_8.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small", with short fits of all 1,623 characters; one GPU for "full".
Duration: small: those of Table 2, and 3 trainings of each recipe for every row; what is there stays.
Expected: docs/few_shot.md.
"""

from few_shot import DOCUMENT, RECIPES, both, explained
from omniglot import COMPLEXITY, DATA, fitted
from script import begin

from inrzoo.tasks import Comparison

begin(__doc__)

store = fitted(COMPLEXITY)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
PAPER = {"none": (32.67, 34.2), "per_tensor": (), "per_parameter": (56.2, 62.86)}

page = Comparison(DOCUMENT, f"Table 8: normalisation ({COMPLEXITY})", COLUMNS, recipes=RECIPES)
found = {}
for kind, paper in PAPER.items():
    run = f"{COMPLEXITY}-transformer" + ("" if kind == "per_parameter" else f"-{kind}")
    # `auto` is per parameter where all INRs started alike: the run is that of Table 2.
    measurements = both(store, run, normalise="auto" if kind == "per_parameter" else kind)
    found[kind] = measurements[-1]
    page.add(kind, measurements, paper if COMPLEXITY == "high" else ())
for column in COLUMNS:
    page.check("normalised is above not normalised", found["per_parameter"][column], found["none"][column])
    page.check("per parameter is above per tensor (ours)", found["per_parameter"][column], found["per_tensor"][column])
page.write(*explained(DATA))
