"""Table 9 of the few-shot paper: INRs that start alike against INRs with a start of their own.

The paper says "random weights" and no more. Both readings are here: a draw for every INR, and one draw for all of them.

Command:  python pipelines/few_shot_table_9.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small", with short fits of all 1,623 characters; one GPU for "full".
Duration: small: that of Table 2 for two further stores, and 3 trainings a row; what is there stays.
Expected: docs/few_shot.md.
"""

from few_shot import DOCUMENT, RECIPES, both, explained, ours
from omniglot import COMPLEXITY, DATA, fitted
from script import begin

from inrzoo.tasks import Comparison

begin(__doc__)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
PAPER = {"random": (55.2, 61.86), "shared": (55.2, 61.86), "fixed": (56.2, 62.86)}
# No mixtures of classes: an average of INRs with starts of their own is no INR of anything.
METHODS = {
    "transformer": {"mixtures": 0.0},
    "invariant deep sets (ours)": {"encoder": {"name": "deep_sets"}, "normalise": "per_tensor", "mixtures": 0.0},
    "transformer, canonical weights (ours)": {"inputs": "canonical", "mixtures": 0.0},
}

page = Comparison(DOCUMENT, f"Table 9: start of the fits ({COMPLEXITY})", COLUMNS, recipes=RECIPES)
found = {}
for init, paper in PAPER.items():
    store = fitted(COMPLEXITY, init, {"init.mode": init})
    for title, fields in METHODS.items():
        run = f"{COMPLEXITY}-{init}-unmixed-{title.replace(' ', '-').replace(',', '')}"
        of_paper = title == "transformer"
        measurements = both(store, run, **fields) if of_paper else [{}, ours(store, run, **fields)]
        found[init, title] = measurements[-1]
        page.add(f"{title}, {init} start", measurements, paper if of_paper and COMPLEXITY == "high" else ())
for column in COLUMNS:
    of = {init: found[init, "transformer"][column] for init in PAPER}
    page.check("fixed starts are above a draw for every INR", of["fixed"], of["random"])
    page.check("fixed starts are above one draw for all", of["fixed"], of["shared"])
page.write(*explained(DATA))
