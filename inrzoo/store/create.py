"""Creates a store: every array at its full size, signals and labels in place, in one rename.

Shape letters: N signals, S seeds, T snapshots, P parameters, K coordinates, C channels.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo import registry
from inrzoo.lazy import lazy
from inrzoo.store.blocks import BUILD_FOLDER, COLUMNS, MEASURE_PREFIX, column_kind
from inrzoo.store.files import clear, is_there, sync_tree
from inrzoo.store.info import StoreInfo
from inrzoo.store.labelled import array_attributes
from inrzoo.store.names import BASE, LIMITS, VALID, label_arrays, number_array, signal_array
from inrzoo.store.objects import Location, ObjectPath, upload
from inrzoo.store.root import change_info

if TYPE_CHECKING:
    import zarr
else:
    zarr = lazy("zarr", globals())

SIGNAL_CHUNK_BYTES = 2**20
"""Target size of a chunk of signals, in bytes."""


@dataclass(frozen=True)
class Contents:
    """The contents of a new store, besides the INRs.

    Attributes:
        info: what the store records of itself. Its layout gives the number of parameters, its manifest the number of
            seeds.
        ids: N signal ids.
        split: N uint8.
        labels: columns of N int64, the first one the class.
        signals_NKC: numbers of the signals, of the type in the manifest; may be memory-mapped.
        publish_signals: whether the signals and `arrays` stay in the finished store.
        arrays: further arrays of the signals, by name, N rows each.
        limits_N2: numbers of each signal that become the ends of the value range; None for the scale `dtype`.
        valid_N2: range of each signal's own points, int64; None if nothing is padded.
        numbers: columns of N further numbers, int64 or float64.
        init_SP: where all signals of a seed start, or None where each has a start of its own.
        fitter: the hypernetwork that made the starts, a file's content; None where none did.
        base_Q: the base that all INRs share, Q numbers; None where they share none.
    """

    info: StoreInfo
    ids: list[str]
    split: NDArray[np.uint8]
    labels: Mapping[str, NDArray[np.int64]]
    signals_NKC: NDArray[Any]
    publish_signals: bool
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    limits_N2: NDArray[np.float64] | None = None
    valid_N2: NDArray[np.int64] | None = None
    numbers: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    init_SP: NDArray[np.float32] | None = None
    fitter: bytes | None = None
    base_Q: NDArray[np.float32] | None = None


def create_store(path: Location, contents: Contents) -> None:
    """Create the store at `path`, whole or not at all. In a bucket the root, written last, is what makes it a store.

    Raises:
        FileExistsError: something stands at `path`.
        OSError: no space, no permission; nothing is left behind.
    """
    if is_there(path):
        raise FileExistsError(path)
    with _on_disk(path, "zarr.json") as folder:
        partial = folder.with_name(f".{folder.name}.partial")
        clear(partial)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with every_chunk():
                _write(partial, contents)
            change_info(partial, complete=False)  # puts the root's digest into the root
            sync_tree(partial)
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def _write(path: Path, contents: Contents) -> None:
    info = contents.info
    num_signals, seeds = len(contents.ids), info.manifest.seeds
    num_params, partition = info.layout.num_params, info.partition.of(num_signals)
    group, described = zarr.create_group(path, attributes=info.to_attributes()), array_attributes(info)
    create_weights(group, info, num_signals, seeds)
    for name in (*COLUMNS, *(f"{MEASURE_PREFIX}{name}" for name in info.measures)):
        create_column(group, info, name, num_signals, seeds)
    _column(group, "block_sha256", (partition.num_blocks, seeds, 32), "uint8", 0, ["block", "seed", "byte"], {})
    if contents.init_SP is not None:
        dims, chunks = ["seed", "param"], (1, num_params)
        group.create_array("init", data=contents.init_SP, chunks=chunks, fill_value=np.nan, dimension_names=dims)
    if contents.fitter is not None:
        group.create_array("fitter", data=np.frombuffer(contents.fitter, np.uint8), dimension_names=["byte"])
    if contents.base_Q is not None:
        base_Q = contents.base_Q  # not compressed, so that the sha256 of the file is the name of the base
        group.create_array(BASE, data=base_Q, chunks=base_Q.shape, compressors=None, dimension_names=["base_param"])
    for name, codes in zip(label_arrays(contents.labels), contents.labels.values(), strict=True):
        _signal_column(group, name, codes, described.get(name, {}))
    _signal_column(group, "split", contents.split, described["split"])
    ids = np.array(contents.ids, dtype=np.dtypes.StringDType())
    _signal_column(group, "signal_id", ids, described["signal_id"])
    for name, numbers in contents.numbers.items():
        _signal_column(group, number_array(name), numbers, {})
    for name, pairs in ((LIMITS, contents.limits_N2), (VALID, contents.valid_N2)):
        if pairs is not None:
            group.create_array(name, data=pairs, chunks=pairs.shape, dimension_names=["signal", "end"])
    if contents.publish_signals:
        dimensions = registry.find("observations", info.manifest.observation["name"]).arrays
        for name, array in contents.arrays.items():
            _signals(group, array, signal_array(name), dimensions[name])
        _signals(group, contents.signals_NKC, "signals")
    else:
        stage_signals(path, {**contents.arrays, "signals": contents.signals_NKC})


def create_weights(group: zarr.Group, info: StoreInfo, num_signals: int, num_seeds: int) -> None:
    """Create the array `weights`, empty, as `info` says that it lies on disk."""
    codec, partition, num_steps = info.codec, info.partition.of(num_signals), len(info.snapshots)
    compressed = info.weight_format is not None and info.weight_format.compression != "none"
    shuffled = zarr.codecs.BloscCodec(
        cname="zstd", clevel=5, shuffle="shuffle", typesize=codec.array_dtype.itemsize, blocksize=0
    )
    group.create_array(
        "weights",
        shape=(num_signals, num_seeds, num_steps, codec.width),
        shards=(partition.shard_rows, 1, num_steps, codec.width),
        chunks=(partition.chunk_rows, 1, num_steps, codec.width),
        dtype=codec.array_dtype,
        fill_value=codec.fill,
        compressors=shuffled if compressed else None,
        filters=None,
        dimension_names=[
            "signal",
            "seed",
            "step",
            "param" if codec.width == info.layout.num_params else "param_and_scale",
        ],
        attributes=array_attributes(info)["weights"],
    )


def create_column(group: zarr.Group, info: StoreInfo, name: str, num_signals: int, num_seeds: int) -> None:
    """Create a column of qualities, empty; `name` is that of its array."""
    kind, sizes = column_kind(name), {"step": len(info.snapshots), "axis": info.num_axes}
    shape = (num_signals, num_seeds, *(sizes[axis] for axis in kind.axes))
    dimensions = ["signal", "seed", *kind.axes]
    _column(group, name, shape, kind.dtype, kind.fill, dimensions, array_attributes(info)[name])


def stage_signals(path: Location, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write signals that may not be published into the build folder, where the workers read them.

    Args:
        arrays: `signals`, and the further arrays of the signals by name.
    """
    from inrzoo.store.zarr_stores import FolderStore

    with _on_disk(path / BUILD_FOLDER, "signals/zarr.json", replaces=False) as home:
        group = zarr.open_group(FolderStore(home), mode="a")
        for name in sorted(arrays, key=lambda name: name == "signals"):  # the signals last: they say that all are there
            final = "signals" if name == "signals" else signal_array(name)
            clear(home / final)
            clear(home / f"{final}.partial")
            _signals(group, arrays[name], f"{final}.partial", None)
            (home / f"{final}.partial").rename(home / final)


@contextmanager
def _on_disk(place: Location, last: str, replaces: bool = True) -> Iterator[Path]:
    """Yield the folder in which to write: the place itself, or for a bucket a temporary one, which is then uploaded.

    Args:
        last: the file that is uploaded when all others are safe.
        replaces: whether objects that are there go: an upload of perhaps another dataset was interrupted.
    """
    if not isinstance(place, ObjectPath):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="inrzoo-create-") as home:
        folder = Path(home) / place.name
        yield folder
        if replaces:
            place.remove_below()
        upload(folder, place, last=lambda name: name == last)


def _signals(
    home: zarr.Group, signals_NKC: NDArray[Any], name: str, dimensions: Sequence[str] | None = ("coord", "channel")
) -> None:
    rows = max(1, SIGNAL_CHUNK_BYTES // signals_NKC[0].nbytes)
    array = home.create_array(
        name,
        shape=signals_NKC.shape,
        chunks=(min(rows, len(signals_NKC)), *signals_NKC.shape[1:]),
        dtype=signals_NKC.dtype,
        dimension_names=None if dimensions is None else ["signal", *dimensions],
    )
    for start in range(0, len(signals_NKC), rows):
        array[start : start + rows] = signals_NKC[start : start + rows]


def every_chunk() -> Any:
    """While this context is open zarr writes every chunk. Otherwise it leaves out those that hold nothing but the fill
    value: a column would lack its file, and the rows of a shard would move up.
    """
    return zarr.config.set({"array.write_empty_chunks": True})


def _column(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    fill: float,
    dims: list[str],
    attributes: dict[str, Any],
) -> None:
    # One chunk a seed: more seeds then add files and never rewrite one.
    chunks = (shape[0], 1, *shape[2:])
    described = {"dimension_names": dims, "attributes": attributes}
    group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, fill_value=fill, **described)


def _signal_column(group: zarr.Group, name: str, column: NDArray[Any], attributes: dict[str, Any]) -> None:
    described = {"dimension_names": ["signal"], "attributes": attributes}
    array = group.create_array(name, shape=column.shape, chunks=column.shape, dtype=column.dtype, **described)
    array[:] = column
