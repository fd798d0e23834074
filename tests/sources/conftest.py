"""Where the data of these tests come from: made small, or the public sets themselves."""

import os
from pathlib import Path

import pytest
from small_datasets import write_parquet


@pytest.fixture(scope="session")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset repository on disk, columns as in the Hub's CIFAR-100: 600 training and 40 test images, 8 classes of 4
    superclasses."""
    return write_parquet(tmp_path_factory.mktemp("parquet"), 600, 40)


@pytest.fixture
def real_data() -> Path:
    """The folder with the public datasets: $INRZOO_DATA, or shared/data beside the checkout."""
    default = Path(__file__).parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("INRZOO_DATA") or default)
    if not folder.is_dir():
        pytest.skip(f"no public datasets in {folder}; INRZOO_DATA names the folder that holds them")
    return folder
