"""One file of a remote store, read as a stream within limits of size and of time."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from inrzoo.store import limits
from inrzoo.store.limits import Meter, watched
from inrzoo.store.names import CHUNK

MAX_CHUNK_BYTES = 2**34
"""Maximum size of one file of a store, in bytes, whatever its metadata say."""


def transfer(remote: Any, path: str, limit: int, write: Callable[[bytes], Any]) -> None:
    """Read a file in pieces.

    Args:
        remote: file system, as fsspec has them.
        limit: bytes that the file may have.
        write: called with each piece.

    Raises:
        TooMuch, TooSlow: the server leaves its limits.
        Exception: what the file system raises.
    """

    def run(meter: Meter) -> None:
        with remote.open(path, "rb", **_unbuffered(remote)) as file:
            while piece := file.read(limits.PIECE_BYTES):
                meter.add(len(piece))
                write(piece)

    watched(Meter(path.rsplit("/", 1)[-1], limit), run)


def max_bytes(nodes: Mapping[str, Any], name: str) -> int:
    """Bytes that a file of a store may have at most, as far as the metadata in its root say.

    A chunk that compresses badly is a little larger than its values, and a shard has 16 bytes more for each chunk in
    it: twice the values and 1 MiB are more than both. Texts are counted with 1 KiB each.

    >>> grid = {"configuration": {"chunk_shape": [100]}}
    >>> max_bytes({"psnr": {"data_type": "float32", "chunk_grid": grid}}, "psnr/c/0")
    1049376
    """
    chunk = CHUNK.fullmatch(name)
    if chunk is None:
        return limits.MAX_SMALL_BYTES
    try:
        node = nodes[chunk[1]]
        values = math.prod(int(size) for size in node["chunk_grid"]["configuration"]["chunk_shape"])
        bits = re.fullmatch(r"u?int(\d+)|float(\d+)", str(node["data_type"]))
        width = 1024 if bits is None else int(bits[1] or bits[2]) // 8
        return min(MAX_CHUNK_BYTES, 2**20 + 2 * width * values)
    except (KeyError, TypeError, ValueError):
        return limits.MAX_SMALL_BYTES


def array_metadata(root: bytes) -> dict[str, Any]:
    """The metadata of the arrays, as far as the root repeats them."""
    try:
        return dict(json.loads(root)["consolidated_metadata"]["metadata"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}


def _unbuffered(remote: Any) -> dict[str, Any]:
    """How to open a file of a file system so that it comes in one request, as a stream."""
    protocols = {remote.protocol} if isinstance(remote.protocol, str) else {*remote.protocol}
    if protocols & {"http", "https"}:
        return {"block_size": 0, "size": 1}  # a size, whichever, so that it is not asked for first
    return {"block_size": 0} if "hf" in protocols else {}
