"""Sec. 3.3.5 of the few-shot paper: the encoder should not be too large. Transformers of several widths.

Command:  python pipelines/few_shot_encoder_size.py
Needs:    Omniglot, fetched unless INRZOO_OMNIGLOT names a folder of its archives. INRZOO_SCALE: tiny|small|full.
Hardware: two CPU cores for SCALE = "small", with short fits of all 1,623 characters; one GPU for "full".
Duration: small: that of Table 2, and 3 trainings of 1 to 15 minutes a row; what is there stays.
Expected: docs/few_shot.md. The paper gives no numbers.
"""

from itertools import pairwise

from few_shot import DOCUMENT, explained, ours
from omniglot import COMPLEXITY, DATA, fitted
from script import SCALE, begin

from inrzoo import open_store, registry
from inrzoo.tasks import Comparison

begin(__doc__)

COLUMNS = ["5-way 1-shot", "5-way 5-shot"]
WIDTHS = {"tiny": (16, 64)}.get(SCALE, (16, 32, 64, 128, 256))
PAPERS_WIDTH = 64

store = fitted(COMPLEXITY)
inr = open_store(store).inr

page = Comparison(DOCUMENT, f"Size of the encoder ({COMPLEXITY})", COLUMNS, notes=["parameters"])
found = {}
for width in WIDTHS:
    encoder = {"name": "layer_transformer", "hidden_features": width}
    parameters = sum(one.numel() for one in registry.make("encoders", encoder, layout=inr.layout).parameters())
    # The width of the paper is the default: its run is that of Table 2.
    run = f"{COMPLEXITY}-transformer" + ("" if width == PAPERS_WIDTH else f"-{width}")
    found[width] = ours(store, run, **({} if width == PAPERS_WIDTH else {"encoder": encoder}))
    page.add(f"hidden size {width}", found[width], notes=[f"{parameters:,}"])
for smaller, larger in pairwise(WIDTHS):
    page.check(f"hidden size {larger} is above {smaller}", *(found[one]["5-way 5-shot"] for one in (larger, smaller)))
page.write(*explained(DATA))
