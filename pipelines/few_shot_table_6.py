"""Table 6 of the few-shot paper: the first layers of an INR alone.

Command:  python pipelines/few_shot_table_6.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small", with short fits of all 1,623 characters; one GPU for "full".
Duration: small: those of Table 2, and 3 trainings of each recipe for every row; what is there stays.
Expected: docs/few_shot.md.
"""

from itertools import pairwise

from few_shot import DOCUMENT, RECIPES, both, explained
from omniglot import COMPLEXITY, DATA, fitted
from script import begin

from inrzoo.tasks import Comparison

begin(__doc__)

store = fitted(COMPLEXITY)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
LAYERS = {"low": ["first-1", "first-2", "all"], "high": ["first-2", "first-3", "first-4", "all"]}[COMPLEXITY]
PAPER = {"first-2": (20.34, 25.30), "first-3": (42.31, 46.69), "first-4": (53.2, 56.86), "all": (56.2, 62.86)}

page = Comparison(DOCUMENT, f"Table 6: layers of the INR ({COMPLEXITY})", COLUMNS, recipes=RECIPES)
found = {}
for layers in LAYERS:
    run = f"{COMPLEXITY}-transformer" + ("" if layers == "all" else f"-{layers}")
    measurements = both(store, run, layers=layers)
    found[layers] = measurements[-1]
    page.add(layers, measurements, PAPER[layers] if COMPLEXITY == "high" else ())
for fewer, more in pairwise(LAYERS):
    page.check(f"{more} is above {fewer}", found[more]["5-way 5-shot"], found[fewer]["5-way 5-shot"])
page.write(*explained(DATA))
