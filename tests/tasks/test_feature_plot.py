"""Pictures of features: a PNG that stands, and planes that keep clusters apart."""

import numpy as np
import pytest
from PIL import Image

from inrzoo.tasks.reporting.feature_plot import draw_features, plane

LABEL = np.repeat(np.arange(3), 20)
FEATURES = (10 * np.eye(3, 8)[LABEL] + np.random.default_rng(0).normal(size=(60, 8))).astype(np.float32)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_clusters_stay_apart(method):
    dots = plane(FEATURES, method)
    centres = np.stack([dots[code == LABEL].mean(0) for code in range(3)])
    nearest = ((dots[:, None] - centres) ** 2).sum(-1).argmin(1)
    assert dots.shape == (60, 2) and (nearest == LABEL).all()


def test_the_picture_has_a_panel_for_each_set(tmp_path):
    columns = {"weights": (FEATURES, LABEL), "features": (FEATURES[:30], LABEL[:30])}
    draw_features(columns, tmp_path / "two.png", class_names=["a", "b", "c"], method="pca")
    draw_features({"weights": (FEATURES, LABEL)}, tmp_path / "one.png", class_names=["a", "b", "c"], method="pca")
    two, one = (Image.open(tmp_path / name) for name in ("two.png", "one.png"))
    assert two.size[0] - one.size[0] == 4 * 150 and two.size[1] == one.size[1]
