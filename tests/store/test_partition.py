"""How signals are cut: blocks cover them once, chunks divide blocks, blocks divide shards, sizes as published."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_store import REAL_MIN_BLOCKS

from inrzoo.store import Partition, blocks


@pytest.fixture(autouse=True)
def real_number_of_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "MIN_BLOCKS", REAL_MIN_BLOCKS)


@settings(deadline=None, max_examples=100)
@given(num_signals=st.integers(1, 3_000_000), row_bytes=st.integers(4, 200_000_000).map(lambda size: size // 4 * 4))
def test_cuts_fit_into_each_other(num_signals, row_bytes):
    partition = Partition.of(num_signals, row_bytes)
    assert partition.num_signals == num_signals
    assert 1 <= partition.chunk_rows <= partition.block_rows <= partition.shard_rows
    assert partition.block_rows % partition.chunk_rows == 0
    assert partition.shard_rows % partition.block_rows == 0
    assert (
        (partition.num_blocks - 1) * partition.block_rows < num_signals <= partition.num_blocks * partition.block_rows
    )
    assert (
        (partition.num_shards - 1) * partition.shard_rows < num_signals <= partition.num_shards * partition.shard_rows
    )


@settings(deadline=None, max_examples=100)
@given(num_signals=st.integers(1, 3000), row_bytes=st.sampled_from([4, 400, 4740, 50948, 10**6, 10**9]))
def test_blocks_cover_every_signal_once_and_shards_every_block(num_signals, row_bytes):
    partition = Partition.of(num_signals, row_bytes)
    rows = [row for block in range(partition.num_blocks) for row in range(num_signals)[partition.rows(block)]]
    assert rows == list(range(num_signals))
    blocks = [block for shard in range(partition.num_shards) for block in partition.shard_blocks(shard)]
    assert blocks == list(range(partition.num_blocks))
    for shard in range(partition.num_shards):
        assert partition.rows(partition.shard_blocks(shard)[0]).start == shard * partition.shard_rows


def test_a_million_small_sirens():
    """Chunks of about 512 KiB, shards of about 80 MB: docs/derivations/store.md#chunks-blocks-and-shards."""
    row_bytes = 1185 * 4
    partition = Partition.of(10**6, row_bytes)
    assert partition.chunk_rows == 128
    assert partition.block_rows == 128
    assert partition.shard_rows * row_bytes == pytest.approx(80e6, rel=0.01)


def test_large_inrs_still_come_in_blocks_of_64():
    row_bytes = 12737 * 4
    partition = Partition.of(10**6, row_bytes)
    assert partition.chunk_rows * row_bytes == pytest.approx(512 * 1024, rel=0.42)  # nearest power of two
    assert partition.block_rows == 64
    assert partition.shard_rows * row_bytes == pytest.approx(80e6, rel=0.05)


def test_small_sets_have_work_for_every_core():
    assert Partition.of(1797, 1185 * 4).num_blocks >= 8
    assert Partition.of(48, 1185 * 4).num_blocks >= 8


def test_sets_of_more_than_one_shard_have_at_least_four():
    for num_signals in (20_000, 60_000, 10**6):
        assert Partition.of(num_signals, 1185 * 4).num_shards >= 4


def test_more_steps_kept_make_smaller_chunks():
    """A row is T·P numbers, so four views fill a chunk with a quarter of the signals."""
    assert Partition.of(10**5, 1185 * 4).chunk_rows == 4 * Partition.of(10**5, 4 * 1185 * 4).chunk_rows
