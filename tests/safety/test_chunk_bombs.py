"""A chunk that unpacks to more than its array declares is refused before it has filled the memory.

While a hostile store is read the memory of the process may grow by `ROOM`, less than any of the chunks unpack to.
"""

import functools
import gzip
import http.server
import json
import resource
import shutil
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pyarrow as pa
import pytest
import zarr

from inrzoo.errors import InrzooError
from inrzoo.store import open_store
from inrzoo.store.bounded import STRING_BYTES, BoundedGroup
from inrzoo.store.files import sha256
from inrzoo.store.root import _change_root

HUGE = 2**30
ROOM = 2**29


@functools.cache
def bomb(codec: str) -> bytes:
    """A small chunk that unpacks to `HUGE` zeros."""
    zeros = np.zeros(2**24, np.uint8).tobytes()
    if codec == "zstd":  # one frame, its size in the header
        return pa.Codec("zstd").compress(bytes(HUGE), asbytes=True)
    if codec == "zstd without sizes":
        with pa.CompressedOutputStream(out := pa.BufferOutputStream(), "zstd") as stream:
            for _ in range(HUGE // len(zeros)):
                stream.write(zeros)
        return out.getvalue().to_pybytes()
    if codec == "zstd frames":
        return pa.Codec("zstd").compress(zeros, asbytes=True) * (HUGE // len(zeros))
    if codec == "gzip members":
        return gzip.compress(zeros) * (HUGE // len(zeros))
    if codec == "gzip":
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        piece = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
        return gzip.compress(b"")[:10] + piece * (HUGE // len(zeros)) + packer.flush() + bytes(8)
    assert codec == "blosc"
    return bytes(numcodecs.Blosc("lz4").encode(np.zeros(HUGE, np.uint8)))


PACKED = ["zstd", "zstd without sizes", "zstd frames", "gzip", "gzip members", "blosc"]


def compressor(name: str) -> dict[str, Any]:
    blosc = {"cname": "zstd", "clevel": 5, "shuffle": "noshuffle", "typesize": 1, "blocksize": 0}
    tables = {"zstd": {"level": 0, "checksum": False}, "gzip": {"level": 5}, "blosc": blosc}
    return {"name": name, "configuration": tables[name]}


def in_little_memory(work: Callable[..., Any], *arguments: Any) -> str:
    """The text of the InrzooError that `work` raises while the address space of this process may grow by `ROOM`."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, before[1]))
    try:
        work(*arguments)
    except InrzooError as error:
        return str(error)
    except Exception as error:
        return f"not refused: {type(error).__name__}: {error}"
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    return "not refused"


def change(store: Path, name: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Edit the metadata of an array, in its own file and in the root's copy."""
    root = json.loads((store / "zarr.json").read_text())
    table = json.loads((store / name / "zarr.json").read_text())
    edit(table)
    (store / name / "zarr.json").write_text(json.dumps(table))
    root["consolidated_metadata"]["metadata"][name] = table
    files = [path for path in store.rglob("*") if path.is_file() and path != store / "zarr.json"]
    checksums = {str(path.relative_to(store)): sha256(path) for path in files}
    root["attributes"]["checksums"].update(checksums)
    (store / "zarr.json").write_text(json.dumps(root))


def plant(store: Path, name: str, content: bytes, codec: str | None, field: str = "codecs") -> None:
    """Make every chunk of an array `content`, packed by one codec."""
    for path in (store / name).rglob("*"):
        if path.is_file() and path.name != "zarr.json":
            path.write_bytes(content)

    def edit(table: dict[str, Any]) -> None:
        first = table["codecs"][0]
        if first["name"] == "sharding_indexed":  # a compressor of the weights may well leave the shards out
            table["chunk_grid"]["configuration"]["chunk_shape"] = first["configuration"]["chunk_shape"]
            first = {"name": "bytes", "configuration": {"endian": "little"}}
        table["codecs"] = [first, *([] if codec is None else [compressor(codec)])]

    change(store, name, edit)


READS: dict[str, Callable[[Any], Any]] = {
    "label": lambda store: store.labels,
    "split": lambda store: store.split,
    "signal_id": lambda store: store.signal_ids,
    "signals": lambda store: store.signals(slice(0, 1)),
    "psnr": lambda store: store.psnr,
    "max_frequency": lambda store: store.max_frequency,
    "exact": lambda store: store.exact,
    "block_sha256": lambda store: store.block_sha256,
    "stats/mean": lambda store: store.stats,
    "weights": lambda store: store.weights[0, 0],
}


def read(place: str, name: str) -> None:
    READS[name](open_store(place))


@pytest.fixture
def hostile(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "hostile.zarr"))


@pytest.mark.parametrize("kind", PACKED)
def test_every_compressor_stops_at_the_declared_size(hostile: Path, kind: str) -> None:
    plant(hostile, "signals", bomb(kind), kind.split()[0])
    assert len(bomb(kind)) < HUGE / 200
    said = in_little_memory(read, str(hostile), "signals")
    assert "is damaged (signals: ValueError: a chunk unpacks to more than" in said
    assert "\n" not in said


@pytest.mark.parametrize("name", READS)
def test_every_read_of_a_store_is_bounded(hostile: Path, name: str) -> None:
    plant(hostile, name, bomb("zstd"), "zstd")
    assert f"is damaged ({name}: ValueError: a chunk unpacks to more than" in in_little_memory(read, str(hostile), name)


def test_init_and_fitter_are_bounded(hostile: Path) -> None:
    group = zarr.open_group(hostile, mode="r+", use_consolidated=False)
    store = open_store(hostile)
    group.create_array("init", data=np.ones((2, store.layout.num_params), np.float32))
    group.create_array("fitter", data=np.ones(1000, np.uint8))
    for name in ("init", "fitter"):
        root = json.loads((hostile / "zarr.json").read_text())
        root.setdefault("consolidated_metadata", {"kind": "inline", "must_understand": False, "metadata": {}})
        (hostile / "zarr.json").write_text(json.dumps(root))
        plant(hostile, name, bomb("zstd"), "zstd")
        said = in_little_memory(lambda name: getattr(open_store(hostile), name), name)
        assert f"is damaged ({name}: ValueError: a chunk unpacks to more than" in said


def test_xarray_reads_a_store_through_the_same_bounds(hostile: Path) -> None:
    open_store(hostile).to_xarray()
    plant(hostile, "psnr", bomb("zstd"), "zstd")
    said = in_little_memory(lambda: open_store(hostile).to_xarray()["psnr"].to_numpy())
    assert said.startswith("not refused: ValueError: a chunk unpacks to more than")  # xarray's own line, but a line


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The folder of the test behind http, and a cache of its own."""
    monkeypatch.setenv("INRZOO_CACHE", str(tmp_path / "cache"))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    handler.func.log_message = lambda *arguments: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_remote_store_is_bounded(hostile: Path, served: str) -> None:
    plant(hostile, "signals", bomb("zstd"), "zstd")
    _change_root(hostile, lambda root: None)  # an attacker gives it a digest that is right
    store = open_store(f"{served}/hostile.zarr")
    store.cache.fetch_all()  # type: ignore[union-attr]
    said = in_little_memory(lambda: store.signals(slice(0, 1)))
    assert "a chunk unpacks to more than" in said


# --- inside of shards, and declared sizes ---------------------------------------------------------------------------


def sharded(folder: Path, codecs: list[dict[str, Any]], parts: list[bytes], ranges: list[tuple[int, int]]) -> Any:
    """An array of four chunks of 1,000 bytes in one shard, its bytes and its index as given."""
    group = zarr.create_group(folder)
    group.create_array("a", shape=(4000,), shards=(4000,), chunks=(1000,), dtype="uint8", compressors=None)
    table = json.loads((folder / "a" / "zarr.json").read_text())
    shard = table["codecs"][0]["configuration"]
    shard["codecs"] = [{"name": "bytes"}, *codecs]
    shard["index_codecs"] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    (folder / "a" / "zarr.json").write_text(json.dumps(table))
    (folder / "a" / "c").mkdir()
    index = b"".join(struct.pack("<QQ", *pair) for pair in ranges)
    (folder / "a" / "c" / "0").write_bytes(b"".join(parts) + index)
    return BoundedGroup(zarr.open_group(folder, mode="r")._async_group)["a"]


def test_an_honest_shard_is_read(tmp_path: Path) -> None:
    part = bytes(numcodecs.GZip().encode(np.full(1000, 7, np.uint8)))
    ranges = [(row * len(part), len(part)) for row in range(4)]
    assert (sharded(tmp_path / "a.zarr", [compressor("gzip")], [part] * 4, ranges)[:] == 7).all()


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("rows", [slice(0, 10), slice(None)])
def test_compressors_inside_of_a_shard_are_bounded(tmp_path: Path, kind: str, rows: slice) -> None:
    content, nothing = bomb(kind), (2**64 - 1, 2**64 - 1)
    array = sharded(
        tmp_path / "a.zarr", [compressor(kind.split()[0])], [content], [(0, len(content)), nothing, nothing, nothing]
    )
    assert "a chunk unpacks to more than" in in_little_memory(lambda: array[rows])


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ([(0, 1000), (0, 1000), (1000, 1000), (2000, 1000)], "the same bytes for two chunks"),
        ([(0, 2**40), (2**41, 10), (2**42, 10), (2**43, 10)], "unpacks to more than"),
        ([(0, 2**64 - 2), (2**64 - 2, 3), (1, 1), (2, 2)], "unpacks to more than"),
        ([(2**63, 1000), (0, 1000), (1000, 1000), (2000, 1000)], "leads out of its file"),
    ],
)
@pytest.mark.parametrize("rows", [slice(0, 10), slice(None)])
def test_a_hostile_index_is_not_followed(tmp_path: Path, ranges: list[tuple[int, int]], said: str, rows: slice) -> None:
    array = sharded(tmp_path / "a.zarr", [], [bytes(4000)], ranges)
    with pytest.raises(ValueError, match=said):
        array[rows]


def test_a_blosc_header_that_lies_is_refused(hostile: Path) -> None:
    honest = bytearray(numcodecs.Blosc("zstd").encode(np.arange(48 * 64, dtype=np.uint8)))
    for place, number in ((4, 2**31), (8, 2**31 - 1), (12, 2**20)):  # unpacked, blocks, packed
        content = bytearray(honest)
        struct.pack_into("<I", content, place, number)
        plant(hostile, "signals", bytes(content), "blosc")
        said = in_little_memory(read, str(hostile), "signals")
        assert "is damaged (signals: ValueError: a " in said


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<I", 2**32 - 1),  # room for 4 thousand million strings
        struct.pack("<II", 48, 2**31),
        struct.pack("<Ii", 48, -5) + bytes(100),
        b"",
    ],
)
def test_strings_that_announce_too_much_are_refused(hostile: Path, content: bytes) -> None:
    plant(hostile, "signal_id", content, None)
    assert "is damaged (signal_id: " in in_little_memory(read, str(hostile), "signal_id")


def test_long_names_are_read(hostile: Path) -> None:
    """As long as a path may be, in a small store; in a large one as long as `STRING_BYTES` on average."""
    names = ["x" * 4096] * 48
    assert STRING_BYTES >= 1024
    zarr.open_group(hostile, mode="r+", use_consolidated=False)["signal_id"][:] = np.array(
        names, np.dtypes.StringDType()
    )
    assert open_store(hostile).signal_ids == names


@pytest.mark.parametrize(
    ("name", "chunk", "said"),
    [
        ("label", [2**40], "is cut into chunks of"),
        ("signals", [2**33, 64, 1], "is cut into chunks of"),
        ("psnr", [2**33, 1, 1], "is cut into chunks of"),
    ],
)
def test_chunks_far_larger_than_their_array_are_refused(hostile: Path, name: str, chunk: list[int], said: str) -> None:
    change(hostile, name, lambda table: table["chunk_grid"]["configuration"].update(chunk_shape=chunk))
    assert said in in_little_memory(read, str(hostile), name)


def test_an_array_of_more_bytes_than_the_machine_has_is_refused(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrzoo.store.arrays._machine_bytes", lambda: 100)
    with pytest.raises(InrzooError, match="label claims 384 bytes; this machine has a memory of 100"):
        open_store(hostile).labels  # noqa: B018


def test_an_array_of_very_many_chunks_is_refused(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inrzoo.store.arrays.MAX_CHUNKS", 1)
    with pytest.raises(InrzooError, match="psnr is cut into 2 chunks; at most 1"):
        open_store(hostile).psnr  # noqa: B018
