"""Lake's 20 one-shot runs: 20-way 1-shot classification within an alphabet, beside people and BPL.

Encoders are trained on 25 of the 30 background alphabets, and their best step is chosen on the other 5; the runs are of
10 of the 20 evaluation alphabets. INRs of the runs are fitted from the runs' own drawings and start where those of the
training start. What differs from Lake et al. 2015: drawings of 32 × 32 instead of 105 × 105 pixels, and an encoder that
sees weights alone, no strokes.

Command:  python pipelines/few_shot_one_shot_runs.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives, and all_runs.zip, in the folder that
          INRZOO_OMNIGLOT_RUNS names or fetched. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small", with short fits of all 1,623 characters; one GPU for "full".
Duration: small: 10 (low) or 25 (high) minutes to fit on one core with AVX-512, 3 trainings a row; what is there stays.
Expected: docs/few_shot.md; errors are 4.5 % of people, 3.3 % of BPL, 13.5 % of a deep network on pictures (Lake 2015).
"""

from typing import Any

from few_shot import DOCUMENT, MEAN_OF_TOKENS, OUT, PAPERS, SEEDS, explained, measured, ours
from omniglot import COMPLEXITY, DATA, FITS, fitted
from script import SCALE, begin, source

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.tasks import Comparison, Measurement, over_runs
from inrzoo.tasks.one_shot_runs import one_shot_runs

begin(__doc__)

ALPHABETS = {"tiny": [1, 1, 1], "small": [25, 5, 20], "full": [25, 5, 20]}[SCALE]
ERROR, ACCURACY = "error of the runs", "5-way 5-shot"
LINEAR = {"name": "flat_mlp", "tensors": "all", "hidden_layers": 0, "out_features": 256}
METHODS: dict[str, dict[str, Any]] = {
    "zero-learning": {"encoder": {"name": "raw"}},
    "one linear map (ours)": {"encoder": LINEAR},
    "transformer": {},
}

store = fitted(COMPLEXITY, "official", {"source.splits": "official", "source.num_alphabets": ALPHABETS})
runs = OUT / f"omniglot-runs-{COMPLEXITY}.zarr"
build(manifest.load("omniglot_runs", COMPLEXITY, FITS[COMPLEXITY]), runs, source=source("omniglot_runs"), init=store)


def error(run: str) -> Measurement:
    """The error of every trained seed on the runs; of raw weights, its interval is over runs."""
    folders = [folder for seed in SEEDS if (folder := OUT / "runs" / run / f"seed-{seed}").exists()]
    errors = [{ERROR: one_shot_runs(folder, runs)} for folder in folders]
    return errors[0][ERROR] if len(errors) == 1 else over_runs(errors)[ERROR]


page = Comparison(DOCUMENT, f"One-shot runs of Lake ({COMPLEXITY})", [ERROR, ACCURACY])
for name, fields in METHODS.items():
    run = f"{COMPLEXITY}-official-{name.replace(' ', '-').replace('-(ours)', '')}"
    page.add(name, {**ours(store, run, **fields), ERROR: error(run)})
run = f"{COMPLEXITY}-official-transformer-paper"
papers = measured(store, run, encoder=MEAN_OF_TOKENS, **PAPERS)
page.add("transformer, the paper's recipe", {**papers, ERROR: error(run)})
page.add("people (Lake et al. 2015, 105 × 105 pixels)", {}, (4.5, None))
page.add("Bayesian program learning (Lake et al. 2015)", {}, (3.3, None))
page.write(
    *explained(f"{DATA}: 25 background alphabets to train on, 5 to validate on, the evaluation set to test on"),
    "The error, in percent, is that of 20 runs of 20 characters: each of 20 drawings is matched with one of 20 others.",
    "The published errors are of drawings of 105 × 105 pixels; here encoders read weights of INRs of 32 × 32 pixels.",
)
