"""The effect of each part of the recipe: each departure from the few-shot paper's training taken back by itself.

Command:  python pipelines/few_shot_recipe.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small". docs/few_shot.md and the durations were measured on a subset of Omniglot:
          the 242 characters of the archives images_background_small1/2.
Duration: small: 35 minutes to fit on one core, 30 to train; what is there stays.
Expected: docs/few_shot.md.
"""

from typing import Any

from omniglot import COMPLEXITY, DOCUMENT, OUT, TRAINING, VIEWS, fitted
from script import SCALE, begin

from inrzoo.tasks import Comparison, measure
from inrzoo.tasks.few_shot import FewShot

begin(__doc__)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
PAPER = (56.2, 62.86) if COMPLEXITY == "high" else (38.91, 45.6)
TAKEN_BACK: dict[str, dict[str, Any]] = {
    "no mixtures of classes": {"mixtures": 0.0},
    "no input dropout": {"input_dropout": 0.0},
    "cosines times 1": {"temperature": 1.0},
    "no weight decay": {"weight_decay": 0.0},
    "features: mean of the tokens": {"encoder": {"name": "layer_transformer", "readout": "mean", "last_norm": True}},
    "steps of 1e-5": {"lr": 1e-5, "schedule": "constant"},
}
ALL = {key: value for fields in TAKEN_BACK.values() for key, value in fields.items()}

store = fitted(COMPLEXITY)

page = Comparison(DOCUMENT, f"What makes the difference ({COMPLEXITY})", COLUMNS)
recipes: dict[str, dict[str, Any]] = {"our recipe": {}, **TAKEN_BACK, "all of these: the paper's recipe": ALL}
found = {}
for title, fields in recipes.items():
    run = f"{COMPLEXITY}-transformer" + "".join(f"-{key}-{value}" for key, value in fields.items() if key != "encoder")
    run += "-mean" if "encoder" in fields else ""
    found[title] = measure(FewShot(view=VIEWS[2], **TRAINING, **fields), store, OUT / "runs" / run)
    page.add(title, found[title], PAPER if fields is ALL else ())
for title in TAKEN_BACK:
    page.check(f"our recipe is above: {title}", found["our recipe"]["5-way 5-shot"], found[title]["5-way 5-shot"])
page.write(f"Scale `{SCALE}`, {COMPLEXITY}-complexity INRs. Accuracy in percent on the test alphabets, 95 % intervals.")
