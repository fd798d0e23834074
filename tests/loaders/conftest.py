"""A store that all loader tests may read."""

from pathlib import Path

import pytest
from hypothesis import settings
from made_stores import make_store

settings.register_profile("untimed", deadline=None, max_examples=30)  # the machine may be busy with something else
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """45 signals (30 train, 5 validation, 10 test), 3 seeds, 2 snapshots; several shards of several chunks."""
    path = tmp_path_factory.mktemp("made") / "made.zarr"
    store = make_store(path, shard_rows=12, diverged=((4, 0), (7, 2)))
    assert store.partition.num_shards >= 3, store.partition
    assert store.partition.shard_rows > store.partition.chunk_rows
    return path
