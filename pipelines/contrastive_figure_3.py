"""Figure 3 of the contrastive paper: t-SNE of weights and of what contrastive learning makes of them.

Command:  python pipelines/contrastive_figure_3.py
Needs:    the stores and runs of contrastive_table_2.py, with the same environment.
Hardware: one CPU core.
Duration: small: 1 minute a set.
Expected: docs/contrastive.png.
"""

import os

from script import begin, folders

from inrzoo.loaders import load
from inrzoo.tasks import draw_features, features, write_section

begin(__doc__)

SETS = os.environ.get("INRZOO_SETS", "siren-mnist,fourier_net-mnist").split(",")
OUT, DOCUMENT = folders("out/contrastive", "docs/contrastive.md")
ENCODER = "message_passing"

panels = {}
for name in SETS:
    store, run = OUT / f"{name}.zarr", OUT / "runs" / f"{name}-contrastive-{ENCODER}"
    test = load(store, split="test", normalise="per_tensor")
    batch, learned = test[:], features(run, store, split="test")
    one = batch.seed == batch.seed.min()  # of the fits of an image: pairs of dots would look like classes
    panels[f"{name}: weights"] = (batch.weights[one].numpy(), batch.label[one].numpy())
    one = learned.seed == learned.seed.min()
    panels[f"{name}: {ENCODER}"] = (learned.features[one].numpy(), learned.label[one].numpy())
picture = DOCUMENT.with_suffix(".png")
draw_features(panels, picture, class_names=test.label_names[next(iter(test.labels))])
words = "t-SNE of the test split, one INR an image; colours are classes, which only the dots' colours know."
write_section(DOCUMENT, "Figure 3", [words, "", f"![t-SNE of weights and of features]({picture.name})"])
