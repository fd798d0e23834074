"""Where the data of these tests come from: made small, or the public sets themselves."""

from pathlib import Path

import pytest
from small_datasets import write_parquet


@pytest.fixture(scope="session")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset repository on disk, columns as in the Hub's CIFAR-100: 600 training and 40 test images, 8 classes of 4
    superclasses."""
    return write_parquet(tmp_path_factory.mktemp("parquet"), 600, 40)
