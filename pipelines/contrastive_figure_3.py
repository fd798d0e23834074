"""Figure 3 of the contrastive paper: t-SNE of weights and of what contrastive learning makes of them.

Command:  python pipelines/contrastive_figure_3.py
Needs:    the stores and runs of contrastive_table_2.py, with the same environment. A set without them is left out.
Hardware: one CPU core.
Duration: small: 2 minutes a set.
Expected: docs/contrastive_SET.png for each set, and docs/contrastive.md.
"""

from contrastive_sets import DOCUMENT, NAMES, OUT, SETS
from script import begin

from inrzoo.checkpoint import BEST
from inrzoo.loaders import load
from inrzoo.tasks import draw_features, features, write_section

begin(__doc__)

for name in SETS:
    store = OUT / f"{name}.zarr"
    kinds = [kind for kind in ("message_passing", "graded_message_passing")
             if (OUT / "runs" / f"{name}-contrastive-{kind}-seed0" / BEST).exists()]  # fmt: skip
    if not kinds:
        continue
    test = load(store, split="test", seeds=0, normalise="per_tensor")
    batch = test[:]
    panels = {f"{name}: weights": (batch.weights.numpy(), batch.label.numpy())}
    for kind in kinds:
        learned = features(OUT / "runs" / f"{name}-contrastive-{kind}-seed0", store, split="test")
        one = learned.seed == learned.seed.min()  # of the fits of an image: pairs of dots would look like classes
        panels[f"{name}: {kind}"] = (learned.features[one].numpy(), learned.label[one].numpy())
    picture = DOCUMENT.with_name(f"{DOCUMENT.stem}_{name}.png")
    draw_features(panels, picture, class_names=test.label_names[next(iter(test.labels))])

lines = ["t-SNE of the test split, one INR an image; colours are classes, which only the dots' colours know."]
for name in NAMES:
    picture = DOCUMENT.with_name(f"{DOCUMENT.stem}_{name}.png")
    if picture.exists():
        lines += ["", f"![{name}: t-SNE of weights and of features]({picture.name})"]
write_section(DOCUMENT, "Figure 3", lines)
