"""The keywords of `load` as types for its overloads: those of a map-style dataset, and those of a stream.

A test compares them with the signature of `load`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from inrzoo.loaders.normalise import Normalise
from inrzoo.loaders.transforms import Transform


class DatasetKeywords(TypedDict, total=False):
    """Keywords of `load` for a map-style dataset: see `load`."""

    split: str | None
    seeds: int | Sequence[int] | None
    views: int | Sequence[int] | None
    normalise: Normalise
    signals: bool
    transform: Transform | None
    transform_normalised: Transform | None
    seed: int
    min_psnr: float | None
    max_loss: float | None
    max_steps: int | None
    max_out_of_band: float | None
    max_frequency: float | None
    min_exact: float | None
    min_measures: Mapping[str, float] | None
    max_measures: Mapping[str, float] | None
    status: Sequence[str] | None
    cache_limit: int | None
    retries: int
    backoff: float
    storage_options: Mapping[str, Any] | None


class StreamKeywords(DatasetKeywords, total=False):
    """Keywords of `load` for a stream: see `load`."""

    shuffle: bool
    batch_size: int | None
    buffer: int | None
    shards_at_once: int | None
    drop_uneven: bool | None
    prefetch: int | None
    rank: int | None
    world: int | None
