"""The commands of the README on the public data sets, shortened by fewer steps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inrzoo.store import open_store
from inrzoo.verify import verify


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("dataset", "classes", "shape"),
    [("omniglot", 1623, (32, 32, 1)), ("mnist", 10, (28, 28, 1)), ("cifar10", 10, (32, 32, 3))],
)
def test_real_signals_are_fitted(
    dataset: str,
    classes: int,
    shape: tuple[int, int, int],
    data: Path,
    tmp_path: Path,
    inrzoo: Callable[..., tuple[int, str, str]],
) -> None:
    out = tmp_path / f"{dataset}.zarr"
    words = ["--source", data / dataset, "--limit", 12, "--seeds", 1, "--steps", 60, "--lr", "2e-3", "--in-process"]
    code, printed, err = inrzoo("build", dataset, *words, "--out", out)
    assert code == 0, err
    assert "12 fitted now" in printed
    store = open_store(out)
    assert (*store.info.grid, store.inr.out_features) == shape
    column = store.info.label_columns[0]
    assert len(store.info.label_names[column]) == classes
    counts = np.bincount(store.labels[column], minlength=classes)
    assert counts.max() - counts.min() <= 1  # an even share of the classes
    assert (store.status == 1).all() and store.psnr.mean() > 18
    assert verify(out).problems == []


@pytest.mark.realdata
def test_labels_are_those_that_the_ids_say(
    data: Path, tmp_path: Path, inrzoo: Callable[..., tuple[int, str, str]]
) -> None:
    """Omniglot's ids are `alphabet/character/image`: every column of the store agrees with them."""
    words = ["--source", data / "omniglot", "--limit", 60, "--steps", 1, "--in-process", "--out", tmp_path / "o.zarr"]
    assert inrzoo("build", "omniglot", *words)[0] == 0
    store = open_store(tmp_path / "o.zarr")
    names = store.info.label_names
    assert list(store.labels) == ["character", "alphabet", "drawer"]
    for row, signal_id in enumerate(store.signal_ids):
        alphabet, character, _ = signal_id.split("/")
        assert names["character"][store.labels["character"][row]] == f"{alphabet}/{character}"
        assert names["alphabet"][store.labels["alphabet"][row]] == alphabet
