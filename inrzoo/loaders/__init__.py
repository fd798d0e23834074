"""Weights out of a store and into training: what is drawn, how it is batched, and how it is augmented."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, overload

from inrzoo.errors import InrzooError
from inrzoo.loaders.batch import Episode, PairBatch, WeightBatch
from inrzoo.loaders.dataset import WeightDataset
from inrzoo.loaders.episodes import Episodes
from inrzoo.loaders.pairs import Pairs
from inrzoo.loaders.stream import WeightStream
from inrzoo.store import open_store

__all__ = ["Episode", "Episodes", "PairBatch", "Pairs", "WeightBatch", "WeightDataset", "WeightStream", "load"]

STREAM_OPTIONS = ("batch_size", "buffer", "mix", "even", "prefetch", "rank", "world")
REMOTE_OPTIONS = ("cache_limit", "retries", "backoff", "storage_options")
DATASET_OPTIONS = ("split", "seeds", "views", "normalise", "signals", "transform", "transform_normalised")

Where = str | Path


@overload
def load(
    path: Where | Sequence[Where], *, streaming: Literal[True], shuffle: bool = ..., seed: int = ..., **options: Any
) -> WeightStream[WeightBatch]: ...
@overload
def load(
    path: Where | Sequence[Where],
    *,
    streaming: Literal[False] = ...,
    shuffle: Literal[False] = ...,
    seed: int = ...,
    **options: Any,
) -> WeightDataset: ...
def load(
    path: Where | Sequence[Where],
    *,
    streaming: bool = False,
    shuffle: bool = False,
    seed: int = 0,
    **options: Any,
) -> WeightDataset | WeightStream[WeightBatch]:
    """Load INRs, from a folder or a URL, or from several that are loaded as one.

    Args:
        path: of a store; `https://…`, `s3://…`, `hf://datasets/USER/NAME/NAME.zarr` are fetched as they are read.
        streaming: give a `WeightStream` of batches, and not a map-style `WeightDataset`.
        shuffle: of a stream. A map-style dataset is shuffled by its DataLoader.
        seed: of the shuffling and of the transforms.
        options: `split`, `seeds`, `views`, `normalise`, `signals`, `transform`, `transform_normalised` (see
            `WeightDataset`); `batch_size`, `buffer`, `mix`, `even`, `prefetch`, `rank`, `world` of a stream (see
            `WeightStream`); `cache_limit`, `retries`, `backoff`, `storage_options` of a URL (see
            `inrzoo.store.remote.Mirror`); and conditions on the INRs: `min_psnr`, `max_loss`, `status`, … (see
            `Store.select`).

    Raises:
        InrzooError: one line that names what does not exist, what differs between stores, or what could not be read.

    Example:
        >>> stream = inrzoo.load("digits.zarr", split="train", streaming=True, shuffle=True)    # doctest: +SKIP
        >>> for batch in stream:                                                                # doctest: +SKIP
        ...     tensors = stream.layout.split(batch.weights)
    """
    of_stream = {name: options.pop(name) for name in STREAM_OPTIONS if name in options}
    of_remote = {name: options.pop(name) for name in REMOTE_OPTIONS if name in options}
    of_dataset = {name: options.pop(name) for name in DATASET_OPTIONS if name in options}
    if not streaming and (shuffle or of_stream):
        named = ", ".join([*(["shuffle"] if shuffle else []), *of_stream])
        raise InrzooError(f"{named}: only a stream has that; load with streaming=True, or give it to your DataLoader")
    paths = [path] if isinstance(path, str | Path) else list(path)
    if not paths:
        raise InrzooError("no store was named; give a path, a URL or a list of them")
    stores = [open_store(each, **of_remote) for each in paths]
    dataset = WeightDataset(stores, seed=seed, conditions=options, **of_dataset)
    return WeightStream(dataset, shuffle=shuffle, seed=seed, **of_stream) if streaming else dataset
