"""Weights out of a store and into training: what is drawn, how it is batched, and how it is augmented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack, overload

from inrzoo.errors import InrzooError
from inrzoo.keywords import keywords_checked
from inrzoo.loaders.batch import Episode, PairBatch, WeightBatch
from inrzoo.loaders.dataset import WeightDataset
from inrzoo.loaders.episodes import Episodes
from inrzoo.loaders.normalise import Normalise
from inrzoo.loaders.options import DatasetKeywords, StreamKeywords
from inrzoo.loaders.pairs import Pairs
from inrzoo.loaders.stream import WeightStream
from inrzoo.loaders.transforms import Transform
from inrzoo.store import Store, open_store

__all__ = ["Episode", "Episodes", "PairBatch", "Pairs", "WeightBatch", "WeightDataset", "WeightStream", "load"]

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
    status: Sequence[str] | None = None,
    shuffle: bool = False,
    batch_size: int | None = None,
    buffer: int | None = None,
    mix: int | None = None,
    even: bool | None = None,
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
        path: of a store; `https://…` and `s3://…` are fetched as they are read, and so is a dataset on the Hub,
            `hf://datasets/USER/NAME`, `@REVISION` behind it for a version. Its commit is looked up once.
        streaming: give a `WeightStream` of batches, and not a map-style `WeightDataset`.
        split: name of a split; None for all signals.
        seeds: which fits of each signal, a number or several; None for all.
        views: step counts of the snapshots, one or several; None for the last.
        normalise: `auto`, `per_parameter`, `per_tensor` or `none`; see `inrzoo.loaders.normalise`.
        signals: whether batches carry the values that the INRs were fitted to.
        transform: changes weights before they are normalised: the motions of `inrzoo.loaders.transforms`.
        transform_normalised: changes them after: noise and dropout.
        seed: of the shuffling and of the transforms.
        min_psnr: dB. This and the next five are conditions on the INRs, each at its own snapshot; see `Store.select`.
        max_loss: mean squared error on the value scale.
        max_steps: optimiser steps taken.
        max_out_of_band: share of spectral energy outside the Nyquist box, 0 to 1.
        max_frequency: radians per unit, on every axis.
        status: names that are let through; `ok` and `early stop` if None.
        shuffle: of a stream. A map-style dataset is shuffled by its DataLoader.
        batch_size: of a stream, and so are the next six; INRs of a batch, 256 if None.
        buffer: INRs that are shuffled with each other; if None 128 MiB of them, at least 1,024.
        mix: shards that are read at the same time when shuffling; 4 if None.
        even: whether every rank gets the same number of whole batches; no if None.
        prefetch: batches that a thread makes ahead; none if None.
        rank: number of this process among `world`; that of `torch.distributed` if None, else 0 of 1.
        world: number of processes that share the epoch.
        cache_limit: of a URL, and so are the next three; bytes of shards in the local cache, None for no limit.
        retries: further tries after a first one that failed.
        backoff: seconds before the second try, doubled each time up to 30.
        storage_options: for fsspec: keys, tokens, end points.

    Raises:
        InrzooError: one line that names what does not exist, what differs between stores, or what could not be read.
            An unknown keyword raises it as well; that error is also a TypeError.

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
    of_stream = {
        "batch_size": batch_size,
        "buffer": buffer,
        "mix": mix,
        "even": even,
        "prefetch": prefetch,
        "rank": rank,
        "world": world,
    }
    of_stream = {name: value for name, value in of_stream.items() if value is not None}
    if not streaming and (shuffle or of_stream):
        named = ", ".join([*(["shuffle"] if shuffle else []), *of_stream])
        raise InrzooError(f"{named}: only a stream has that; load with streaming=True, or give it to your DataLoader")
    conditions = {
        "min_psnr": min_psnr,
        "max_loss": max_loss,
        "max_steps": max_steps,
        "max_out_of_band": max_out_of_band,
        "max_frequency": max_frequency,
        "status": status,
    }

    def opened(each: Where) -> Store:
        return open_store(
            _pinned(each), cache_limit=cache_limit, retries=retries, backoff=backoff, storage_options=storage_options
        )

    paths = [path] if isinstance(path, str | Path) else list(path)
    if not paths:
        raise InrzooError("no store was named; give a path, a URL or a list of them")
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
    return WeightStream(dataset, shuffle=shuffle, seed=seed, **of_stream) if streaming else dataset  # type: ignore[arg-type]


def _pinned(path: Where) -> Where:
    """A dataset on the Hub may move under a tag: its commit is looked up once, and everything is read from there."""
    if not str(path).startswith("hf://"):
        return path
    from inrzoo.hub import pin

    return pin(str(path))
