"""Features as dots in a plane: Figure 3 of the contrastive paper.

Shape letters: L INRs, F features.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.extras import needed
from inrzoo.tasks.reporting.figures import new_figure, save_figure

Method = Literal["tsne", "pca"]


def plane(features_LF: NDArray[np.float32], method: Method, seed: int = 0) -> NDArray[np.float32]:
    """Project features to two dimensions, (L, 2).

    `pca` gives the first principal components; `tsne` is t-SNE initialised with them (van der Maaten & Hinton 2008)
    with scikit-learn's default perplexity of 30, or less for fewer than 91 rows.
    """
    with needed("train", "projecting features"):
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE

    projected_L2: NDArray[np.float32]
    if method == "pca":
        projected_L2 = PCA(2, random_state=seed).fit_transform(features_LF)
        return projected_L2
    count, size = features_LF.shape
    reduced = PCA(50, random_state=seed).fit_transform(features_LF) if size > 50 < count else features_LF
    perplexity = min(30.0, (count - 1) / 3)
    projected_L2 = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return projected_L2


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
        path: of the PNG file.
        class_names: of the labels.
        method: `tsne` or `pca`.
    """
    figure = new_figure(4 * len(columns) + 1, 4)
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    for axes, (title, (features_LF, label_L)) in zip(panels, columns.items(), strict=True):
        dots_L2 = plane(features_LF, method)
        for code, name in enumerate(class_names):
            axes.scatter(*dots_L2[label_L == code].T, s=3, linewidths=0, color=f"C{code % 10}", label=name)
        axes.set(title=title, xticks=[], yticks=[])
    if len(class_names) <= 20:
        handles, names = panels[-1].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside right upper", markerscale=4)
    save_figure(figure, path, dpi=150)
