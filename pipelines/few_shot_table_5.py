"""Table 5 of the few-shot paper: high-complexity INRs against low-complexity ones.

Command:  python pipelines/few_shot_table_5.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small", with short fits of all 1,623 characters; one GPU for "full".
Duration: small: those of Table 2, which has the same runs; what is there stays.
Expected: docs/few_shot.md.
"""

from few_shot import DOCUMENT, RECIPES, both, explained
from omniglot import fitted
from script import begin

from inrzoo.tasks import Comparison

begin(__doc__)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
PAPER = {"low": ("2 layer 32 dim", (38.91, 45.6)), "high": ("4 layer 64 dim", (56.2, 62.86))}

page = Comparison(DOCUMENT, "Table 5: complexity of the INR", COLUMNS, recipes=RECIPES)
found = {}
for complexity, (name, paper) in PAPER.items():
    measurements = both(fitted(complexity), f"{complexity}-transformer")
    found[complexity] = measurements[-1]
    page.add(name, measurements, paper)
for column in COLUMNS:
    page.check("high complexity is above low", found["high"][column], found["low"][column])
page.write(*explained("all of Omniglot"))
