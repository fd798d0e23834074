"""Table 6 of the few-shot paper: the first layers of an INR alone.

Command:  python pipelines/few_shot_table_6.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small". docs/few_shot.md and the durations were measured on a subset of Omniglot:
          the 242 characters of the archives images_background_small1/2.
Duration: small: 35 minutes to fit on one core, 15 to train; what is there stays.
Expected: docs/few_shot.md.
"""

from itertools import pairwise

from omniglot import COMPLEXITY, DOCUMENT, OUT, TRAINING, VIEWS, fitted
from script import SCALE, begin

from inrzoo.tasks import Comparison, measure
from inrzoo.tasks.few_shot import FewShot

begin(__doc__)

store = fitted(COMPLEXITY)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
LAYERS = {"low": ["first-1", "first-2", "all"], "high": ["first-2", "first-3", "first-4", "all"]}[COMPLEXITY]
PAPER = {"first-2": (20.34, 25.30), "first-3": (42.31, 46.69), "first-4": (53.2, 56.86), "all": (56.2, 62.86)}

page = Comparison(DOCUMENT, f"Table 6: layers of the INR ({COMPLEXITY})", COLUMNS)
found = {}
for layers in LAYERS:
    run = f"{COMPLEXITY}-transformer" + ("" if layers == "all" else f"-{layers}")
    found[layers] = measure(FewShot(view=VIEWS[2], **TRAINING, layers=layers), store, OUT / "runs" / run)
    page.add(layers, found[layers], PAPER[layers] if COMPLEXITY == "high" else ())
for fewer, more in pairwise(LAYERS):
    page.check(f"{more} is above {fewer}", found[more]["5-way 5-shot"], found[fewer]["5-way 5-shot"])
page.write(f"Scale `{SCALE}`, {COMPLEXITY}-complexity INRs. Accuracy in percent on the test alphabets, 95 % intervals.")
