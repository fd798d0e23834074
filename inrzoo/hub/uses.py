"""What a dataset is for, what it is not for, and where it falls short: read off the store.

Shape letters: N signals, S seeds, T snapshots.
"""

import numpy as np

from inrzoo.hub.header import licence_is_known
from inrzoo.hub.markdown import code, table, text
from inrzoo.rendering.kinds import Kind, kind_of
from inrzoo.store import Store

SIGNALS: dict[Kind, str] = {
    "image": "images",
    "sound": "sounds",
    "field": "fields",
    "voxels": "voxels",
    "shape": "shapes",
    "points": "values at points",
    "views": "radiance fields",
}


def uses(store: Store) -> str:
    """Return what the dataset is for and what it is not for, as two paragraphs."""
    columns = {column: len(store.info.label_names[column]) for column in store.info.label_columns}
    classes = ", ".join(f"{text(column)} ({number:,} classes)" for column, number in columns.items() if number > 1)
    goals = [f"classification by {classes}"] if classes else []
    goals += ["contrastive learning", "features for probes", "generative models of weights"]
    studies = ["the symmetries and the geometry of weight space"]
    if store.num_seeds > 1:
        studies.append(f"differences between {store.num_seeds} fits of one signal")
    if len(store.snapshots) > 1:
        studies.append(f"the way of the weights through {len(store.snapshots)} snapshots of a fit")
    kind = SIGNALS[kind_of(store)]
    return (
        "For training and measuring networks whose inputs are the weights of other networks: "
        f"{', '.join(goals)}; and for the study of {' and of '.join(studies)}.\n\n"
        f"Not for measuring how well the {kind} themselves can be recognised: an INR approximates its signal, and "
        "accuracies on weights are not accuracies on signals. Not for mixing with INRs of other conventions: the same "
        "numbers mean another function there."
    )


def limitations(store: Store) -> str:
    """Return the table of what the dataset lacks."""
    recorded, info = store.info.manifest, store.info
    last = store.psnr[:, :, -1]
    finite = last[np.isfinite(last)]
    name, count = info.inr["name"], store.layout.num_params
    rows = {
        "one architecture": f"all are {code(name)} of {count:,} weights, fitted in one way; what is learned from "
        "them need not hold for other widths, activations, starts or conventions",
        "source": "errors, gaps and biases of the source are in the INRs too; nothing was removed or balanced",
    }
    if finite.size:
        low, lowest = np.quantile(finite, 0.05), finite.min()
        rows["approximation"] = f"5 % of the INRs are below {low:.2f} dB, the worst has {lowest:.2f} dB"
    diverged = int((store.status == info.status_names.index("diverged")).sum())
    if diverged:
        rows["diverged fits"] = f"{diverged:,} of {store.status.size:,}; the column `status` says which"
    if recorded.limit is not None:
        rows["a part of the source"] = f"at most {recorded.limit:,} signals were fitted, an even share of every class"
    if store.num_seeds == 1:
        rows["one fit of each signal"] = "how much fits of one signal differ cannot be seen"
    column = info.label_columns[0]
    sizes = np.bincount(store.labels[column], minlength=len(info.label_names[column]))
    if sizes.size > 1 and sizes.max() > 1.2 * sizes.min():
        rows["unequal classes"] = f"{sizes.min():,} to {sizes.max():,} signals a class of {text(column)}"
    if not store.has_signals and info.generated is None:
        rows["no signals"] = "the signals are not in the store, because their licence forbids it or is not known"
    if not licence_is_known(store):
        rows["licence"] = "that of the source is not recorded: ask its authors before you pass anything on"
    if info.imported is not None:
        rows["imported"] = "the INRs were fitted elsewhere; how, is not recorded"
    if info.generated is not None:
        rows["generated"] = (
            "the INRs are samples of a model, of which no signal exists; how good they are, is not recorded"
        )
    if info.skipped:
        rows["left out"] = f"{len(info.skipped):,} files of the source that could not be read"
    return table(("limitation", "what it means"), ((text(key), value) for key, value in rows.items()))
