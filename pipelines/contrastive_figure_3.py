"""Figure 3 of the contrastive paper: t-SNE of weights and of what contrastive learning makes of them.

Command:  python pipelines/contrastive_figure_3.py      behind contrastive_table_2.py, whose stores and runs it draws
Hardware: one CPU core.
Duration: small: 1 minute a set.
Expected: docs/contrastive.png.
"""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from inrzoo.loaders import load
from inrzoo.tasks import draw_features, embed, write_section

SETS = os.environ.get("INRZOO_SETS", "siren-mnist,fourier_net-mnist").split(",")
OUT = Path(os.environ.get("INRZOO_OUT", "out/contrastive"))
DOCUMENT = Path(os.environ.get("INRZOO_DOCUMENT", "docs/contrastive.md"))
ENCODER = "message_passing"

panels = {}
for name in SETS:
    store, run = OUT / f"{name}.zarr", OUT / "runs" / f"{name}-contrastive-{ENCODER}"
    test = load(store, split="test", normalise="per_tensor")
    batch = test[:]
    first = (
        batch.seed == batch.seed.min()
    ).numpy()  # one INR an image, as dots that are fits of one would hide classes
    panels[f"{name}: weights"] = (batch.weights.numpy()[first], batch.label.numpy()[first])
    embed(run, store, OUT / f"{name}-test.parquet", split="test")
    rows = pq.read_table(OUT / f"{name}-test.parquet").to_pandas()
    rows = rows[rows["seed"] == rows["seed"].min()]
    label = next(iter(test.labels))
    panels[f"{name}: {ENCODER}"] = (np.stack(rows["features"]), rows[label].to_numpy())
picture = DOCUMENT.with_suffix(".png")
draw_features(panels, picture, class_names=test.label_names[label])
write_section(
    DOCUMENT,
    "Figure 3",
    [f"![t-SNE of weights and of features]({picture.name})", "", "Test split, colours are classes."],
)
