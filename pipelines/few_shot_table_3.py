"""Table 3 of the few-shot paper: INR-FC100, CIFAR-100 split by superclass.

Command:  python pipelines/few_shot_table_3.py
Needs:    CIFAR-100, fetched unless INRZOO_CIFAR100 names the Hub repository's folder. INRZOO_SCALE: tiny|small|full.
Hardware: one GPU for SCALE = "full", all 60,000 photographs; two CPU cores for "small", 60 photographs of each class.
Duration: small: about two hours to fit on one core with AVX-512. No run of it is recorded: see docs/few_shot.md.
Expected: in the paper 36.9 % at 5-way 5-shot; tests/tasks/test_pipelines.py runs this script on a small stand-in.
"""

from script import SCALE, begin, folders, source

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.tasks import Comparison, measure
from inrzoo.tasks.few_shot import FewShot

begin(__doc__)

STEPS = {"tiny": 5, "small": 1000, "full": 20_000}[SCALE]
LIMIT = {"tiny": None, "small": 6000, "full": None}[SCALE]
FIT = {"tiny": {"fit.views": [20, 40], "fit.steps": 40}, "small": {}, "full": {}}[SCALE]
VIEW = {"tiny": 40, "small": 1000, "full": 1000}[SCALE]
OUT, DOCUMENT = folders("out/few_shot", "docs/few_shot.md")
VIEWS = {"fit.views": [800, 900, 1000, 1100, 1200], "fit.steps": 1200}
WAYS = {"tiny": (2,), "small": (5, 10), "full": (5, 10)}[SCALE]

PAPER = {
    ("low", "zero-learning"): (22.1, 23.1, 11.2, 12.1),
    ("low", "MLP"): (23.2, 24.2, 15.6, 13.4),
    ("low", "transformer"): (25.2, 27.4, 14.2, 16.34),
    ("high", "zero-learning"): (),
    ("high", "MLP"): (28.1, 30.5, 17.4, 20.3),
    ("high", "transformer"): (31.2, 36.9, 19.2, 22.58),
}
METHODS = {
    "zero-learning": {"encoder": {"name": "raw"}},
    "MLP": {"encoder": {"name": "flat_mlp"}},
    "transformer": {},
}

columns = [f"{way}-way {shot}-shot" for way in WAYS for shot in (1, 5)]
page = Comparison(DOCUMENT, "Table 3: INR-FC100", columns)
found = {}
for complexity, method in PAPER:
    store = OUT / f"fc100-{complexity}-fixed.zarr"
    settings = {"init.mode": "fixed", **VIEWS, **FIT} | ({"limit": LIMIT} if LIMIT else {})
    build(manifest.load("fewshot_cifar100", complexity, settings), store, source=source("cifar100"))
    task = FewShot(view=VIEW, steps=STEPS, way=min(5, *WAYS), label="fine_label", test_ways=WAYS, **METHODS[method])
    found[complexity, method] = measure(task, store, OUT / "runs" / f"fc100-{complexity}-{method}")
    page.add(f"{complexity}: {method}", found[complexity, method], PAPER[complexity, method][: len(columns)])
for complexity in ("low", "high"):
    better, worse = found[complexity, "transformer"], found[complexity, "MLP"]
    page.check(f"{complexity}: the transformer is above the MLP", better[columns[-1]], worse[columns[-1]])
page.write(f"Scale `{SCALE}`. Accuracy in percent on the test superclasses, 95 % intervals.")
