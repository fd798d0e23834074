"""Table 5 of the few-shot paper: high-complexity INRs against low-complexity ones.

Command:  python pipelines/few_shot_table_5.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small". docs/few_shot.md and the durations were measured on a subset of Omniglot:
          the 242 characters of the archives images_background_small1/2.
Duration: small: those of Table 2, which has the same runs; what is there stays.
Expected: docs/few_shot.md.
"""

from omniglot import DOCUMENT, OUT, TRAINING, VIEWS, fitted
from script import SCALE, begin

from inrzoo.tasks import Comparison, measure
from inrzoo.tasks.few_shot import FewShot

begin(__doc__)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
PAPER = {"low": ("2 layer 32 dim", (38.91, 45.6)), "high": ("4 layer 64 dim", (56.2, 62.86))}

page = Comparison(DOCUMENT, "Table 5: complexity of the INR", COLUMNS)
found = {}
for complexity, (name, paper) in PAPER.items():
    store = fitted(complexity)
    found[complexity] = measure(FewShot(view=VIEWS[2], **TRAINING), store, OUT / "runs" / f"{complexity}-transformer")
    page.add(name, found[complexity], paper)
for column in COLUMNS:
    page.check("high complexity is above low", found["high"][column], found["low"][column])
page.write(f"Scale `{SCALE}`. Accuracy in percent on the test alphabets, 95 % intervals.")
