"""Features as dots in a plane: Figure 3 of the contrastive paper."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.store.files import write_atomically

Method = Literal["tsne", "pca"]


def plane(features: NDArray[np.float32], method: Method, seed: int = 0) -> NDArray[np.float32]:
    """Two numbers for each row of (L, F), (L, 2): the first principal components, or t-SNE begun with them (van der
    Maaten & Hinton 2008; scikit-learn's default perplexity of 30, less for fewer than 91 rows).
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if method == "pca":
        found: NDArray[np.float32] = PCA(2, random_state=seed).fit_transform(features)
        return found
    shrunk = PCA(50, random_state=seed).fit_transform(features) if features.shape[1] > 50 < len(features) else features
    perplexity = min(30.0, (len(features) - 1) / 3)
    placed: NDArray[np.float32] = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(shrunk)
    return placed


def draw_features(
    columns: Mapping[str, tuple[NDArray[np.float32], NDArray[np.int64]]],
    path: Path,
    *,
    class_names: list[str],
    method: Method = "tsne",
) -> None:
    """Write a PNG with one panel for each set of features.

    Args:
        columns: title of a panel -> features (L, F) and labels (L,).
        path: of the picture.
        class_names: of the labels.
        method: `tsne` or `pca`.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(columns) + 1, 4), layout="constrained")
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    for axes, (title, (features, label)) in zip(panels, columns.items(), strict=True):
        dots = plane(features, method)
        for code, name in enumerate(class_names):
            of_class = dots[label == code]
            axes.scatter(*of_class.T, s=3, linewidths=0, color=f"C{code % 10}", label=name)
        axes.set(title=title, xticks=[], yticks=[])
    if len(class_names) <= 20:
        handles, names = panels[-1].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right upper", markerscale=4)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    write_atomically(path, picture.getvalue())
