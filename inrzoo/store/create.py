"""Creates a store: every array at its full size, signals and labels in place, in one rename.

Shape letters: N signals, S seeds, T snapshots, P parameters, K coordinates, C channels.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.lazy import lazy
from inrzoo.store.blocks import BUILD_FOLDER, COLUMNS
from inrzoo.store.files import clear, is_there, sync_tree
from inrzoo.store.info import StoreInfo
from inrzoo.store.names import label_arrays
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
        signals_NKC: uint8 array, may be memory-mapped.
        publish_signals: whether the signals stay in the finished store.
        init_SP: where all signals of a seed start, or None where each has a start of its own.
        fitter: the hypernetwork that made the starts, a file's content; None where none did.
    """

    info: StoreInfo
    ids: list[str]
    split: NDArray[np.uint8]
    labels: Mapping[str, NDArray[np.int64]]
    signals_NKC: NDArray[np.uint8]
    publish_signals: bool
    init_SP: NDArray[np.float32] | None = None
    fitter: bytes | None = None


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
    num_signals, seeds, num_steps = len(contents.ids), info.manifest.seeds, len(info.snapshots)
    num_params, partition = info.layout.num_params, info.partition.of(num_signals)
    group = zarr.create_group(path, attributes=info.to_attributes())
    group.create_array(
        "weights",
        shape=(num_signals, seeds, num_steps, num_params),
        shards=(partition.shard_rows, 1, num_steps, num_params),
        chunks=(partition.chunk_rows, 1, num_steps, num_params),
        dtype="float32",
        fill_value=np.nan,
        compressors=None,
        filters=None,
        dimension_names=["signal", "seed", "step", "param"],
    )
    sizes = {"step": num_steps, "axis": len(info.grid)}
    for name, column in COLUMNS.items():
        shape = (num_signals, seeds, *(sizes[axis] for axis in column.axes))
        _column(group, name, shape, column.dtype, column.fill, ["signal", "seed", *column.axes])
    _column(group, "block_sha256", (partition.num_blocks, seeds, 32), "uint8", 0, ["block", "seed", "byte"])
    if contents.init_SP is not None:
        dims, chunks = ["seed", "param"], (1, num_params)
        group.create_array("init", data=contents.init_SP, chunks=chunks, fill_value=np.nan, dimension_names=dims)
    if contents.fitter is not None:
        group.create_array("fitter", data=np.frombuffer(contents.fitter, np.uint8), dimension_names=["byte"])
    for name, codes in zip(label_arrays(contents.labels), contents.labels.values(), strict=True):
        _signal_column(group, name, codes)
    _signal_column(group, "split", contents.split)
    _signal_column(group, "signal_id", np.array(contents.ids, dtype=np.dtypes.StringDType()))
    if contents.publish_signals:
        _signals(group, contents.signals_NKC, "signals")
    else:
        stage_signals(path, contents.signals_NKC)


def stage_signals(path: Location, signals_NKC: NDArray[np.uint8]) -> None:
    """Write signals that may not be published into the build folder, where the workers read them."""
    from inrzoo.store.zarr_stores import FolderStore

    with _on_disk(path / BUILD_FOLDER, "signals/zarr.json", replaces=False) as home:
        clear(home / "signals.partial")
        _signals(zarr.open_group(FolderStore(home), mode="a"), signals_NKC, "signals.partial")
        (home / "signals.partial").rename(home / "signals")


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


def _signals(home: zarr.Group, signals_NKC: NDArray[np.uint8], name: str) -> None:
    rows = max(1, SIGNAL_CHUNK_BYTES // signals_NKC[0].nbytes)
    array = home.create_array(
        name,
        shape=signals_NKC.shape,
        chunks=(min(rows, len(signals_NKC)), *signals_NKC.shape[1:]),
        dtype=signals_NKC.dtype,
        dimension_names=["signal", "coord", "channel"],
    )
    for start in range(0, len(signals_NKC), rows):
        array[start : start + rows] = signals_NKC[start : start + rows]


def every_chunk() -> Any:
    """While this context is open zarr writes every chunk. Otherwise it leaves out those that hold nothing but the fill
    value: a column would lack its file, and the rows of a shard would move up.
    """
    return zarr.config.set({"array.write_empty_chunks": True})


def signals_digest(ids: list[str], signals_NKC: NDArray[np.uint8]) -> str:
    """sha256 (hex) over ids and values: what the fitted signals were, whatever archive they came in."""
    total = hashlib.sha256("\n".join(ids).encode())
    for signal in signals_NKC:
        total.update(np.ascontiguousarray(signal).data)
    return total.hexdigest()


def _column(group: zarr.Group, name: str, shape: tuple[int, ...], dtype: str, fill: float, dims: list[str]) -> None:
    # One chunk a seed: more seeds then add files and never rewrite one.
    chunks = (shape[0], 1, *shape[2:])
    group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, fill_value=fill, dimension_names=dims)


def _signal_column(group: zarr.Group, name: str, column: NDArray[Any]) -> None:
    array = group.create_array(
        name, shape=column.shape, chunks=column.shape, dtype=column.dtype, dimension_names=["signal"]
    )
    array[:] = column
