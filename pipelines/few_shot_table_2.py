"""Table 2 of the few-shot paper: INR-Omniglot, low- and high-complexity INRs, three methods; and what lies beyond it.

Command:  python pipelines/few_shot_table_2.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small", with short fits of all 1,623 characters; one GPU for "full".
Duration: small: 10 minutes (low) and 25 (high) to fit on one core with AVX-512; a training of our recipe 2
          minutes, one of the paper's recipe up to 20; 3 of each for every row. What is there stays.
Expected: docs/few_shot.md.
"""

import os

from few_shot import DOCUMENT, RECIPES, both, explained, ours
from omniglot import fitted
from script import begin

from inrzoo.tasks import Comparison

begin(__doc__)

COMPLEXITIES = os.environ.get("INRZOO_COMPLEXITY", "low,high").split(",")

COLUMNS = ["5-way 1-shot", "5-way 5-shot", "10-way 1-shot", "10-way 5-shot"]
# Widths at which the MLP has as many parameters as the transformer, as the paper wants it.
WIDTHS = {"low": 200, "high": 78}
PAPER = {
    ("low", "zero-learning"): (28.1, 30.1, 13.1, 14.3),
    ("low", "MLP"): (29.1, 33.2, 14.2, 16.3),
    ("low", "transformer"): (38.91, 45.6, 23.82, 30.46),
    ("high", "MLP"): (33.1, 35.4, 17.2, 18.2),
    ("high", "transformer"): (56.2, 62.86, 40.14, 46.1),
}

page = Comparison(DOCUMENT, "Table 2: INR-Omniglot", COLUMNS, recipes=RECIPES)
found = {}
for complexity in COMPLEXITIES:
    store = fitted(complexity)
    linear = {"name": "flat_mlp", "tensors": "all", "hidden_layers": 0, "out_features": 256}
    of_all = {**linear, "hidden_layers": 1, "hidden_features": 512}
    methods = {
        "zero-learning": {"encoder": {"name": "raw"}},
        "MLP": {"encoder": {"name": "flat_mlp", "hidden_features": WIDTHS[complexity]}},
        "transformer": {},
        "one linear map (ours)": {"encoder": linear},
        "MLP of all weights (ours)": {"encoder": of_all},
        "invariant deep sets (ours)": {"encoder": {"name": "deep_sets"}, "normalise": "per_tensor", "mixtures": 0.0},
        "zero-learning, canonical (ours)": {"encoder": {"name": "raw"}, "inputs": "canonical"},
        "zero-learning on pixels": {"encoder": {"name": "raw"}, "inputs": "signals"},
        "Conv-4 on pixels": {"encoder": {"name": "conv_net"}, "inputs": "signals"},
    }
    for name, fields in methods.items():
        if complexity == "high" and "pixels" in name:
            continue  # the same pixels
        run = f"{complexity}-{name.replace(' ', '-').replace('-(ours)', '')}"
        trained_by_paper = name in ("MLP", "transformer")
        measurements = both(store, run, **fields) if trained_by_paper else [{}, ours(store, run, **fields)]
        found[complexity, name] = measurements[-1]
        page.add(f"{complexity}: {name}", measurements, PAPER.get((complexity, name), ()))

at = "5-way 5-shot"
for complexity in COMPLEXITIES:
    of = {name: numbers[at] for (which, name), numbers in found.items() if which == complexity}
    page.check(f"{complexity}: the transformer is above zero-learning", of["transformer"], of["zero-learning"])
    page.check(f"{complexity}: the MLP is above zero-learning", of["MLP"], of["zero-learning"])
    page.check(f"{complexity}: the transformer is above the MLP", of["transformer"], of["MLP"])
for name in ("zero-learning", "MLP", "transformer") if len(COMPLEXITIES) > 1 else ():
    page.check(f"{name}: high complexity is above low", found["high", name][at], found["low", name][at])
page.write(*explained("all of Omniglot"))
