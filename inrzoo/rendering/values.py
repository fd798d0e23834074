"""Values of INRs at the points of a grid, and the numbers that they stand for.

Shape letters: N signals, B some of them, K points, D coordinate dimensions, C channels.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrzoo import coords
from inrzoo.errors import InrzooError
from inrzoo.rendering.kinds import kind_of
from inrzoo.store import Store
from inrzoo.targets import limits_or_own, to_numbers, to_real_numbers

POINTS_AT_ONCE = 2**16
"""Points at which an INR is evaluated at once; a layer of 64 neurons then takes 16 MiB."""
MAX_POINTS = 2**25
"""Maximum number of points of one rendering; the coordinates of so many in three dimensions take 384 MiB."""
RESOLUTION = 64
"""Points along each axis for signals without a grid, before it is made finer."""


class Sampling(NamedTuple):
    """The points at which an INR is rendered.

    Attributes:
        coords_KD: float32, in row-major order.
        sizes: points along each axis; K is their product.
    """

    coords_KD: NDArray[np.float32]
    sizes: tuple[int, ...]


def sampling(store: Store, finer: int = 1) -> Sampling:
    """The grid of a store's signals, made `finer`.

    A grid of two or more axes has `finer` times as many points along each, over the same extent. Of one axis, such as
    time, each step is divided into `finer` steps: every `finer`-th point is one of the fit, and the last one too.
    Signals with points of their own have a grid of `RESOLUTION` · `finer` points along each axis, end points included.

    Raises:
        InrzooError: `finer` is below 1, or there would be more than `MAX_POINTS` points.
    """
    kind, info = kind_of(store), store.info
    sizes = (RESOLUTION,) * info.num_axes if kind in ("shape", "points") else info.grid
    most = int((MAX_POINTS / math.prod(sizes)) ** (1 / len(sizes)))
    if not 1 <= finer <= max(most, 1) or math.prod(sizes) > MAX_POINTS:
        raise InrzooError(
            f"--finer {finer} is not allowed; expected 1 to {most}, as a rendering has {MAX_POINTS:,} points at most"
        )
    if kind in ("shape", "points"):
        return cube(store, RESOLUTION * finer)
    if kind == "sound":
        fitted_K = store.coords()[:, 0].astype(np.float64)
        places = np.arange(finer * (len(fitted_K) - 1) + 1) / finer
        divided_K = np.interp(places, np.arange(len(fitted_K)), fitted_K)
        return Sampling(divided_K.astype(np.float32)[:, None], (len(divided_K),))
    return Sampling(store.coords(finer), tuple(size * finer for size in sizes))


def cube(store: Store, resolution: int) -> Sampling:
    """A grid of `resolution` points along each axis, of signals that have points of their own."""
    sizes = (resolution,) * store.info.num_axes
    return Sampling(coords.grid(sizes, extent=store.info.manifest.coords.extent), sizes)


def values_at(store: Store, signal: int, seed: int, step: int, coords_KD: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values of one INR on the value scale, (K, C), evaluated at `POINTS_AT_ONCE` points at a time."""
    parts = [
        store.render(signal, seed, step, coords=coords_KD[start : start + POINTS_AT_ONCE]).numpy()
        for start in range(0, len(coords_KD), POINTS_AT_ONCE)
    ]
    return np.concatenate(parts)


def values_of(
    store: Store, signals: NDArray[np.int64], seed: int, step: int, coords_KD: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Values of some INRs, (B, K, C), as `values_at`."""
    return np.stack([values_at(store, int(signal), seed, step, coords_KD) for signal in signals])


def limits_of(store: Store, signals: NDArray[np.int64]) -> NDArray[np.float64]:
    """Numbers of some signals that became the ends of the value range, (B, 2)."""
    limits_B2 = None if store.limits is None else store.limits[signals]
    return limits_or_own(store.info.manifest.values, limits_B2, len(signals))


def numbers_of(store: Store, signals: NDArray[np.int64], values_BKC: NDArray[np.float32]) -> NDArray[Any]:
    """The numbers, of the signals' type, that the values of INRs stand for; see `inrzoo.targets.to_numbers`."""
    return to_numbers(_occupancies(store, values_BKC), store.info.manifest.values, limits_of(store, signals))


def real_numbers_of(store: Store, signals: NDArray[np.int64], values_BKC: NDArray[np.float32]) -> NDArray[np.float64]:
    """As `numbers_of`, but as float64, neither rounded nor clipped."""
    return to_real_numbers(_occupancies(store, values_BKC), store.info.manifest.values, limits_of(store, signals))


def _occupancies(store: Store, values_BKC: NDArray[np.float32]) -> NDArray[Any]:
    """Occupancies of logits; other values as they are."""
    if store.observation.loss_name != "bce":
        return values_BKC
    # Beyond these logits the occupancy is 0 or 1 in float64, and exp would overflow.
    return np.asarray(1 / (1 + np.exp(-values_BKC.astype(np.float64).clip(-500, 500))))
