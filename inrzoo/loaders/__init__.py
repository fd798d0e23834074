"""Loads the weights in stores for training: selects, batches, normalises and augments them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack, overload

from inrzoo.addresses import open_store
from inrzoo.errors import InrzooError
from inrzoo.keywords import keywords_checked
from inrzoo.loaders.batch import Episode, PairBatch, WeightBatch
from inrzoo.loaders.dataset import WeightDataset
from inrzoo.loaders.episodes import Episodes
from inrzoo.loaders.graphs import to_pyg
from inrzoo.loaders.normalise import Normalise
from inrzoo.loaders.options import DatasetKeywords, StreamKeywords
from inrzoo.loaders.pairs import Pairs
from inrzoo.loaders.stream import WeightStream
from inrzoo.loaders.transforms import Transform
from inrzoo.store import Store

__all__ = [
    "Episode",
    "Episodes",
    "PairBatch",
    "Pairs",
    "WeightBatch",
    "WeightDataset",
    "WeightStream",
    "load",
    "to_pyg",
]

Where = str | Path


@overload
def load(
    path: Where | Sequence[Where], *, streaming: Literal[True], **options: Unpack[StreamKeywords]
) -> WeightStream[WeightBatch]: ...
@overload
def load(
    path: Where | Sequence[Where], *, streaming: Literal[False] = ..., **options: Unpack[DatasetKeywords]
) -> WeightDataset: ...
@overload
def load(
    path: Where | Sequence[Where], *, streaming: bool, **options: Unpack[StreamKeywords]
) -> WeightDataset | WeightStream[WeightBatch]: ...
@keywords_checked
def load(
    path: Where | Sequence[Where],
    *,
    streaming: bool = False,
    split: str | None = None,
    seeds: int | Sequence[int] | None = None,
    views: int | Sequence[int] | None = None,
    normalise: Normalise = "auto",
    signals: bool = False,
    transform: Transform | None = None,
    transform_normalised: Transform | None = None,
    seed: int = 0,
    min_psnr: float | None = None,
    max_loss: float | None = None,
    max_steps: int | None = None,
    max_out_of_band: float | None = None,
    max_frequency: float | None = None,
    min_exact: float | None = None,
    min_measures: Mapping[str, float] | None = None,
    max_measures: Mapping[str, float] | None = None,
    status: Sequence[str] | None = None,
    shuffle: bool = False,
    batch_size: int | None = None,
    buffer: int | None = None,
    shards_at_once: int | None = None,
    drop_uneven: bool | None = None,
    prefetch: int | None = None,
    rank: int | None = None,
    world: int | None = None,
    cache_limit: int | None = None,
    retries: int = 5,
    backoff: float = 0.5,
    storage_options: Mapping[str, Any] | None = None,
) -> WeightDataset | WeightStream[WeightBatch]:
    """Load INRs, from a folder or a URL, or from several that are loaded as one.

    Args:
        path: folder or URL of a store, or a dataset on the Hub: `USER/NAME` or `hf://datasets/USER/NAME`, with an
            optional `@REVISION`. Remote stores are fetched as they are read; see `inrzoo.open_store`.
        streaming: return a `WeightStream` of batches instead of a map-style `WeightDataset`.
        split: name of a split; None for all signals.
        seeds: one or several numbers of the fits of each signal; None for all.
        views: one or several step counts of the snapshots; None for the last.
        normalise: `auto`, `per_parameter`, `per_tensor` or `none`; see `inrzoo.loaders.normalise`.
        signals: whether batches contain the values that the INRs were fitted to.
        transform: applied before normalisation: the motions of `inrzoo.loaders.transforms`.
        transform_normalised: applied after normalisation: noise and dropout.
        seed: seed of shuffling and transforms.
        min_psnr: minimum PSNR in dB. This and the next five are conditions at each INR's snapshot; see `Store.select`.
        max_loss: maximum mean squared error on the value scale.
        max_steps: maximum number of optimiser steps.
        max_out_of_band: maximum share of spectral energy outside the Nyquist box, 0 to 1.
        max_frequency: maximum frequency on every axis, in radians per coordinate unit.
        min_exact: minimum share of the signal's values that the INR gives back, 0 to 1.
        min_measures, max_measures: smallest and largest values of measures of the observation: `{"snr": 20}`.
        status: allowed names; `ok` and `early stop` if None.
        shuffle: for streams: whether to shuffle. The DataLoader shuffles a map-style dataset.
        batch_size: for streams, like the next six: INRs of a batch; 256 if None.
        buffer: number of INRs that are shuffled together; if None 128 MiB of them, at least 1,024.
        shards_at_once: number of shards that are read at the same time when shuffling; 4 if None.
        drop_uneven: whether to drop the end of an epoch, so that every rank gets the same number of whole batches.
        prefetch: number of batches that a thread prepares in advance; 0 if None.
        rank: number of this process among `world`; that of `torch.distributed` if None, else 0 of 1.
        world: number of processes that share the epoch.
        cache_limit: for URLs, like the next three: maximum bytes of shards in the local cache; None for no limit.
        retries: number of retries after a failure.
        backoff: seconds before the first retry, doubled each time up to 30.
        storage_options: options of fsspec: keys, tokens, end points.

    Raises:
        InrzooError: a setting or store is absent, stores differ, or reading fails; one line says which. An unknown
            keyword raises an InrzooError that is also a TypeError.

    Example:
        >>> dataset = inrzoo.load("digits.zarr", split="train")
        >>> dataset[[0, 5]].weights.shape
        torch.Size([2, 105])
        >>> stream = inrzoo.load("digits.zarr", split="train", streaming=True, shuffle=True, batch_size=16)
        >>> batch = next(iter(stream))
        >>> batch.weights.shape, batch.label.shape
        (torch.Size([16, 105]), torch.Size([16]))
        >>> stream.layout.split(batch.weights)["weight_0"].shape
        torch.Size([16, 8, 2])
    """
    stream_options = {
        "batch_size": batch_size,
        "buffer": buffer,
        "shards_at_once": shards_at_once,
        "drop_uneven": drop_uneven,
        "prefetch": prefetch,
        "rank": rank,
        "world": world,
    }
    stream_options = {name: value for name, value in stream_options.items() if value is not None}
    if not streaming and (shuffle or stream_options):
        named = ", ".join([*(["shuffle"] if shuffle else []), *stream_options])
        raise InrzooError(f"{named}: only streams have it; load with streaming=True, or pass it to your DataLoader")
    conditions = {
        "min_psnr": min_psnr,
        "max_loss": max_loss,
        "max_steps": max_steps,
        "max_out_of_band": max_out_of_band,
        "max_frequency": max_frequency,
        "min_exact": min_exact,
        "min_measures": min_measures,
        "max_measures": max_measures,
        "status": status,
    }

    def opened(each: Where) -> Store:
        return open_store(
            each, cache_limit=cache_limit, retries=retries, backoff=backoff, storage_options=storage_options
        )

    paths = [path] if isinstance(path, str | Path) else list(path)
    if not paths:
        raise InrzooError("no store was named; pass a path, a URL or a list of them")
    dataset = WeightDataset(
        [opened(each) for each in paths],
        split=split,
        seeds=seeds,
        views=views,
        normalise=normalise,
        signals=signals,
        transform=transform,
        transform_normalised=transform_normalised,
        seed=seed,
        conditions={name: value for name, value in conditions.items() if value is not None},
    )
    return WeightStream(dataset, shuffle=shuffle, seed=seed, **stream_options) if streaming else dataset  # type: ignore[arg-type]
