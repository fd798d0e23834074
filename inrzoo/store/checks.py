"""A store's arrays and its INR, checked against what the store records before they are believed.

Nothing in a store is executed. Metadata are zarr format 3 alone (format 2 knows a codec that unpickles), and codecs
those that inrzoo or a compressor of the weights would write.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inrzoo import bases, registry
from inrzoo.errors import InrzooError
from inrzoo.lazy import lazy
from inrzoo.store.info import StoreInfo
from inrzoo.store.names import BASE
from inrzoo.store.objects import Location, ObjectError
from inrzoo.store.recorded import damaged

if TYPE_CHECKING:
    import zarr
else:
    zarr = lazy("zarr", globals())

Result = TypeVar("Result")

MAX_INRS = 2**34
"""Most (signal, seed) pairs that are believed: the columns of more would fill a memory."""
MAX_ROW_BYTES = 2**32
"""Most bytes that all snapshots of one INR may have."""


def guarded(where: str, what: str, work: Callable[[], Result], passing: tuple[type[Exception], ...] = ()) -> Result:
    """Return what `work` returns; turn errors of zarr and its codecs into an InrzooError of one line.

    Args:
        where: the store, for the error.
        what: the part of the store that `work` reads.
        passing: errors that are raised as they are.
    """
    through: tuple[type[BaseException], ...] = (InrzooError, MemoryError, ObjectError, *passing)
    try:
        return work()
    except through:
        raise
    except Exception as error:  # zarr and its codecs let errors of a dozen classes through
        raise damaged(where, f"{what}: {type(error).__name__}: {error}") from None


def opened(home: Any, path: Location, consolidated: bool) -> tuple[zarr.Group, dict[str, Any]]:
    """Open a group for reading. Returns it and its attributes.

    Zarr format 2 is refused: it has a codec that unpickles.
    """
    from inrzoo.store.bounded import BoundedGroup

    try:
        group = zarr.open_group(home, mode="r", use_consolidated=consolidated, zarr_format=3)
        return BoundedGroup(group._async_group), dict(group.attrs)
    except (InrzooError, MemoryError, ObjectError):
        raise
    except Exception:  # whatever zarr makes of a file that is not its own
        raise no_store(path) from None


def no_store(path: Location) -> InrzooError:
    """Return the error for a place without a store."""
    return InrzooError(f"no store at {path}; `inrzoo build DATASET --out {path}` makes one")


def check_weights(weights: Any, info: StoreInfo, where: str) -> None:
    """Check the array of weights against what the store records.

    Raises:
        InrzooError: they contradict each other.
    """
    shape, chunks, dtype = weights.shape, weights.chunks, str(weights.dtype)
    chunk, steps, published = info.partition.chunk_rows, len(info.snapshots), info.published_seeds
    if weights.dtype != info.codec.array_dtype or len(shape) != 4 or min(shape) < 1 or shape[0] * shape[1] > MAX_INRS:
        raise damaged(where, f"weights are {dtype} of shape {list(shape)}")
    if (row_bytes := weights.dtype.itemsize * shape[2] * shape[3]) > MAX_ROW_BYTES:
        raise damaged(where, f"an INR of {row_bytes} bytes; at most {MAX_ROW_BYTES} are read")
    if shape[2] != steps or chunks != (chunk, 1, *shape[2:]):
        raise damaged(where, f"weights {list(shape)} in chunks {list(chunks)}, {steps} snapshots, {chunk} rows a chunk")
    if len({*published}) != len(published) or not {*published} <= {*range(shape[1])}:
        raise damaged(where, f"published seeds {list(published)} of {shape[1]}")
    if info.codec.width != shape[3]:
        raise damaged(where, f"a layout of {info.layout.num_params} parameters, weights of {shape[3]}")


def recorded_inr(info: StoreInfo, where: str, base_Q: NDArray[np.float32] | None) -> Any:
    """The recorded INR, if its weights and coordinates are as many as those of the store.

    Args:
        base_Q: the base in the store, which this process then remembers; None if there is none.
    """
    inr = guarded(where, "inr", lambda: _made(json.dumps(info.inr, sort_keys=True)))
    num_params, num_axes = info.layout.num_params, info.num_axes
    if inr.layout.num_params != num_params or inr.in_features != num_axes:
        what = f"an INR of {inr.layout.num_params} parameters for {inr.in_features} axes"
        raise damaged(where, f"{what}; weights of {num_params}, a grid of {num_axes} axes")
    if inr.base_layout != info.base_layout:
        raise damaged(where, "the recorded base_layout is not that of the recorded INR")
    if base_Q is not None and bases.remember(base_Q) != inr.base:
        raise damaged(where, f"{BASE} is not the base that the INR names")
    return inr


@lru_cache(maxsize=16)
def _made(spec: str) -> Any:
    """An INR has no state: one serves all stores of a process that record it."""
    return registry.make("inrs", json.loads(spec))
