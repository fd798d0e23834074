"""The effect of each part of the recipe: each departure from the few-shot paper's training taken back by itself.

Command:  python pipelines/few_shot_recipe.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small", with short fits of all 1,623 characters; one GPU for "full".
Duration: small: those of Table 2, and 3 trainings a row; what is there stays.
Expected: docs/few_shot.md.
"""

from typing import Any

from few_shot import DOCUMENT, MEAN_OF_TOKENS, PAPERS, explained, measured, ours
from omniglot import COMPLEXITY, DATA, fitted
from script import begin

from inrzoo.tasks import Comparison

begin(__doc__)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
PAPER = (56.2, 62.86) if COMPLEXITY == "high" else (38.91, 45.6)
TAKEN_BACK: dict[str, dict[str, Any]] = {
    "episodes of 5 classes": {"way": 5, "query": 15},
    "no mixtures of classes": {"mixtures": 0.0},
    "no input dropout": {"input_dropout": 0.0},
    "cosines times 1": {"temperature": 1.0},
    "no weight decay": {"weight_decay": 0.0},
    "features: mean of the tokens": {"encoder": MEAN_OF_TOKENS},
    "steps of 1e-5": {"lr": 1e-5, "schedule": "constant"},
}
store = fitted(COMPLEXITY)

page = Comparison(DOCUMENT, f"What makes the difference ({COMPLEXITY})", COLUMNS)
found = {}
for title, fields in {"our recipe": {}, **TAKEN_BACK}.items():
    run = f"{COMPLEXITY}-transformer" + "".join(f"-{key}-{value}" for key, value in fields.items() if key != "encoder")
    run += "-mean" if "encoder" in fields else ""
    found[title] = ours(store, run, **fields)
    page.add(title, found[title])
papers = measured(store, f"{COMPLEXITY}-transformer-paper", encoder=MEAN_OF_TOKENS, **PAPERS)
page.add("all of these, and more steps: the paper's recipe", papers, PAPER)
for title in TAKEN_BACK:
    page.check(f"our recipe is above: {title}", found["our recipe"]["5-way 5-shot"], found[title]["5-way 5-shot"])
page.write(*explained(DATA))
