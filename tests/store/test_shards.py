"""Memory-mapped shards and the weights array read what zarr reads.

Shape letters: N signals, S seeds, T snapshots, P parameters.
"""

import numpy as np
import pytest
import zarr
from tiny_store import REAL_MIN_BLOCKS

from inrzoo.errors import InrzooError
from inrzoo.store import Block, Contents, Quality, blocks, create_store, open_store, publish_seed, write_block
from inrzoo.store.finalise import block_in_shard, shard_path
from inrzoo.store.info import StoreInfo
from inrzoo.store.recorded import PartitionRows, RecordedManifest
from inrzoo.store.shards import map_shard, raw_rows
from inrzoo.weights import WeightLayout, WeightTensor

N, S, T, P = 45, 3, 2, 5
PUBLISHED, HALF_BUILT, PENDING = 0, 1, 2


def short(index: object) -> str:
    return repr(index)[:40]


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


# --- one shard, written by zarr ----------------------------------------------------------------------------------


def write_array(path, num_rows, **options):
    """Chunks of 2 rows, shards of 8."""
    array = zarr.create_array(
        path,
        shape=(num_rows, 3),
        chunks=(2, 3),
        shards=(8, 3),
        dtype="float32",
        fill_value=np.nan,
        **{"compressors": None, "filters": None, "config": {"write_empty_chunks": True}, **options},
    )
    array[:] = numbers(num_rows, 3)
    return array


@pytest.mark.parametrize("num_rows", [8, 24, 20, 17, 3])
def test_a_mapped_shard_is_what_zarr_reads(tmp_path, num_rows):
    array = write_array(tmp_path, num_rows)
    for shard in range(-(-num_rows // 8)):
        expected = array[shard * 8 : (shard + 1) * 8]
        mapped = map_shard(tmp_path / "c" / str(shard) / "0", 4, (2, 3))
        assert mapped is not None
        assert len(expected) <= len(mapped) <= 8
        np.testing.assert_array_equal(mapped[: len(expected)], expected)
        assert not mapped.flags.writeable


def test_a_compressed_shard_is_not_mapped(tmp_path):
    write_array(tmp_path, 8, compressors=zarr.codecs.ZstdCodec())
    assert map_shard(tmp_path / "c" / "0" / "0", 4, (2, 3)) is None


@pytest.mark.parametrize("lost", [1, 4, 24, 90, 10**6])
def test_a_truncated_shard_is_not_mapped(tmp_path, lost):
    write_array(tmp_path, 8)
    path = tmp_path / "c" / "0" / "0"
    path.write_bytes(path.read_bytes()[: max(0, path.stat().st_size - lost)])
    assert map_shard(path, 4, (2, 3)) is None


def test_a_shard_with_a_hole_is_not_mapped(tmp_path):
    array = write_array(tmp_path, 8, config={"write_empty_chunks": False})
    array[2:4] = np.nan  # all fill value: left out, so rows 4 to 8 move up
    assert map_shard(tmp_path / "c" / "0" / "0", 4, (2, 3)) is None


def test_a_shard_of_anything_but_the_chunks_is_not_mapped(tmp_path):
    write_array(tmp_path, 8)
    path = tmp_path / "c" / "0" / "0"
    whole, index_bytes = path.read_bytes(), 4 * 16 + 4
    path.write_bytes(whole[:-index_bytes] + bytes(12) + whole[-index_bytes:])  # a gap before the index
    assert map_shard(path, 4, (2, 3)) is None
    path.write_bytes(whole[:-12] + (12).to_bytes(8, "little") + whole[-4:])  # the last chunk half as long
    assert map_shard(path, 4, (2, 3)) is None
    path.write_bytes(whole)
    assert map_shard(path, 4, (2, 3)) is not None


def test_raw_rows_are_rows_whatever_the_index_says(tmp_path):
    array = write_array(tmp_path, 8)
    path = tmp_path / "c" / "0" / "0"
    np.testing.assert_array_equal(raw_rows(path, slice(3, 7), (3,)), array[3:7])
    path.write_bytes(path.read_bytes()[: 6 * 12])
    np.testing.assert_array_equal(raw_rows(path, slice(2, 6), (3,)), numbers(8, 3)[2:6])
    assert raw_rows(path, slice(3, 7), (3,)) is None
    assert raw_rows(tmp_path / "absent", slice(0, 1), (3,)) is None


# --- a store in the middle of its life: one seed published, one with every second block, one without any ----------


@pytest.fixture(scope="module")
def made_up():
    """Some are not finite: a fit that began so is kept as it is, a whole chunk of them too."""
    weights_NSTP = numbers(N, S, T, P)
    weights_NSTP[4:8] = np.nan
    return weights_NSTP


@pytest.fixture(scope="module")
def path(tmp_path_factory, made_up):
    path = tmp_path_factory.mktemp("store") / "made-up.zarr"
    layout = WeightLayout((WeightTensor("weight_0", (1, 4), ("out", "in")), WeightTensor("bias_0", (1,), ("out",))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "MIN_BLOCKS", REAL_MIN_BLOCKS)
        partition = PartitionRows.choose(N, 2 * P)
    contents = Contents(
        info=StoreInfo(
            dataset="made up",
            manifest=RecordedManifest.from_tables(
                {"name": "made up", "source": {}, "inr": {}, "coords": {}, "values": {}, "seeds": S}
            ),
            fingerprint="",
            signals_sha256="",
            inr={},
            layout=layout,
            grid=(2, 2),
            label_columns=("class",),
            label_names={"class": ("a",)},
            split_names=("train",),
            snapshots=(10, 20),
            partition=partition,
            version="0.2.0",
        ),
        ids=[f"signal {index}" for index in range(N)],
        split=np.zeros(N, dtype=np.uint8),
        labels={"class": np.zeros(N, dtype=np.int64)},
        signals_NKC=np.zeros((N, 4, 1), dtype=np.uint8),
        publish_signals=True,
    )
    create_store(path, contents)
    store = open_store(path)
    assert store.partition.num_blocks > 4
    assert store.partition.chunk_rows <= 4
    for block in store.blocks():
        if block.seed == PENDING or (block.seed == HALF_BUILT and block.index % 2):
            continue
        part = made_up[store.partition.rows(block.index), block.seed]
        write_block(path, block, part, quality_of(part))
    publish_seed(path, PUBLISHED)
    return path


def quality_of(weights_BTP: np.ndarray) -> Quality:
    return Quality(
        psnr=weights_BTP[..., 0],
        loss=weights_BTP[..., 1],
        steps=np.full(weights_BTP.shape[:2], 20, dtype=np.int32),
        status=np.full(len(weights_BTP), 1, dtype=np.uint8),
        out_of_band=weights_BTP[..., 2],
        max_frequency=weights_BTP[..., :2],
        exact=weights_BTP[..., 3],
    )


@pytest.fixture(scope="module")
def expected(path, made_up):
    """Return the weights in the store: pending INRs are NaN."""
    expected = made_up.copy()
    partition = open_store(path).partition
    for index in range(1, partition.num_blocks, 2):
        expected[partition.rows(index), HALF_BUILT] = np.nan
    expected[:, PENDING] = np.nan
    return expected


EVERY_THIRD = np.arange(N) % 3 == 0
INDICES = [
    (),
    3,
    -1,
    np.int64(7),
    slice(None),
    slice(40, None),
    slice(None, None, -7),
    slice(5, 5),
    [44, 0, 44, -3],
    np.array([13, 12]),
    EVERY_THIRD,
    (5, 0),
    (5, 1, -1),
    (slice(2, 30, 3), [1, 0], 0),
    ([3, 1], slice(None), [1]),
    (EVERY_THIRD, np.array([True, False, True]), slice(None)),
    (-45, -3, -2),
    ([], 0),
]


@pytest.mark.parametrize("index", INDICES, ids=short)
def test_indexing_is_per_axis(path, expected, index):
    axes = [*index] if isinstance(index, tuple) else [index]
    by_axis = expected
    for axis, chosen in reversed(list(enumerate(axes))):  # from the last axis, so that dropped ones do not count
        chosen = np.array(chosen, dtype=int) if isinstance(chosen, list) else chosen
        by_axis = by_axis[(slice(None),) * axis + (chosen,)]
    read = open_store(path).weights[index]
    assert read.dtype == np.float32
    assert read.shape == by_axis.shape
    np.testing.assert_array_equal(read, by_axis)


@pytest.mark.parametrize(
    "signals", [slice(None), slice(3, 41), [44, 0, 13], EVERY_THIRD, 5], ids=lambda index: repr(index)[:40]
)
def test_a_published_seed_reads_as_zarr_reads_it(path, signals):
    array = zarr.open_group(path, mode="r")["weights"]
    np.testing.assert_array_equal(open_store(path).weights[signals, PUBLISHED, :], array.oindex[signals, PUBLISHED, :])


def test_published_shards_are_plain_matrices(path, expected):
    """A chunk of nothing but NaN, zarr's fill value, included: left out, it would move all rows behind it."""
    store = open_store(path)
    partition = store.partition
    for shard in range(partition.num_shards):
        file = shard_path(path, shard, PUBLISHED)
        chunk_shape = (partition.chunk_rows, 1, T, P)
        assert map_shard(file, partition.shard_rows // partition.chunk_rows, chunk_shape) is not None
    for index in range(partition.num_blocks):
        raw = block_in_shard(path, partition, Block(PUBLISHED, index), zarr.open_group(path, mode="r")["weights"])
        np.testing.assert_array_equal(raw, expected[partition.rows(index), PUBLISHED])


def test_what_is_read_is_a_copy(path, expected):
    weights = open_store(path).weights
    weights[0, PUBLISHED][:] = 0
    np.testing.assert_array_equal(weights[0, PUBLISHED], expected[0, PUBLISHED])


def test_out_of_range_and_too_many_indices(path):
    weights = open_store(path).weights
    for index in (N, -N - 1, (0, S), (0, 0, T), [0, N]):
        with pytest.raises(IndexError):
            weights[index]
    with pytest.raises(InrzooError, match=r"\[signal, seed, step\], 4 indices"):
        weights[0, 0, 0, 0]


def test_a_written_block_reads_back_before_and_after_publishing(path, expected):
    store = open_store(path)
    assert store.is_done(Block(HALF_BUILT, 0))
    assert not store.is_done(Block(HALF_BUILT, 1))
    rows = store.partition.rows(0)
    for seed in (PUBLISHED, HALF_BUILT):
        np.testing.assert_array_equal(store.psnr[rows, seed], expected[rows, seed, :, 0])
        np.testing.assert_array_equal(store.loss[rows, seed], expected[rows, seed, :, 1])
        assert (store.status[rows, seed] == 1).all()
    assert np.isnan(store.psnr[:, PENDING]).all()
    assert (store.status[:, PENDING] == 0).all()
