"""The arrays of signals, and what INRs are fitted to: coordinates, and values on the range of a manifest.

A number of a signal becomes a value by a straight line: its limits, `first` and `last`, become the ends of the range
(docs/derivations/measures.md#scale).

Shape letters: N signals, B some of them, K points, D coordinate dimensions, C channels.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.manifest import Coords, DatasetSettings, Values
from inrzoo.observations import Observation

DTYPE_LIMITS = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "int16": (-32768.0, 32768.0)}
"""Limits of the scale `dtype`."""
SIGNALS_AT_ONCE_BYTES = 2**24
"""Bytes of numbers whose extremes are taken at once."""
Rows = slice | NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Targets:
    """What B INRs are fitted to and measured by.

    Attributes:
        coords: of the fit, float32: (K, D) if all signals share them, or (B, K, D); for an observation with an
            observer, what that takes, such as rays (B, K, 6).
        values_BKC: float32, on the value range.
        numbers_BKC: the same as the signals' own numbers.
        limits_B2: float64, the numbers that become the ends of the value range.
        valid_B2: the range of points that are a signal's own, int64; None if nothing is padded.
        held_out: coordinates (B, M, D) and values (B, M, C), float32, that no fit sees; None if there are none.
    """

    coords: NDArray[np.float32]
    values_BKC: NDArray[np.float32]
    numbers_BKC: NDArray[Any]
    limits_B2: NDArray[np.float64]
    valid_B2: NDArray[np.int64] | None = None
    held_out: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def take(self, count: int) -> Targets:
        """The targets of the first `count` signals."""
        part = slice(count)
        return Targets(
            coords=self.coords if self.shared_coords else self.coords[part],
            values_BKC=self.values_BKC[part],
            numbers_BKC=self.numbers_BKC[part],
            limits_B2=self.limits_B2[part],
            valid_B2=None if self.valid_B2 is None else self.valid_B2[part],
            held_out=None if self.held_out is None else (self.held_out[0][part], self.held_out[1][part]),
        )

    @property
    def shared_coords(self) -> bool:
        """Whether all signals have the same coordinates."""
        return self.coords.ndim == 2

    @property
    def valid_BK(self) -> NDArray[np.bool_] | None:  # noqa: N802 - the letters say the shape
        """Whether a point is the signal's own; None if all are."""
        if self.valid_B2 is None:
            return None
        points = np.arange(self.values_BKC.shape[1])
        return np.asarray((points >= self.valid_B2[:, :1]) & (points < self.valid_B2[:, 1:]))


def concatenate(parts: Sequence[Targets]) -> Targets:
    """The targets of all parts, in their order; of one part itself."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    return Targets(
        coords=first.coords if first.shared_coords else np.concatenate([part.coords for part in parts]),
        values_BKC=np.concatenate([part.values_BKC for part in parts]),
        numbers_BKC=np.concatenate([part.numbers_BKC for part in parts]),
        limits_B2=np.concatenate([part.limits_B2 for part in parts]),
        # Measures are taken part by part: a fit needs neither padding nor held-out points.
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class SignalTable:
    """The arrays of N signals, and what their numbers mean.

    Attributes:
        arrays: `signals`, (N, K, C), and further arrays of the observation, by name; may be memory-mapped.
        grid: sizes of the grid, slowest axis first; (K,) for signals with points of their own.
        scale, coords: tables `values` and `coords` of the manifest.
        observation: how INRs are compared with the signals.
        limits_N2: see `limits_of`; None for the scale `dtype`.
        valid_N2: see `Targets`.
    """

    arrays: Mapping[str, NDArray[Any]]
    grid: tuple[int, ...]
    scale: Values
    coords: Coords
    observation: Observation
    limits_N2: NDArray[np.float64] | None = None
    valid_N2: NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        arrays: Mapping[str, NDArray[Any]],
        grid: tuple[int, ...],
        settings: DatasetSettings,
        ids: Sequence[str],
        training_N: NDArray[np.bool_] | None = None,
        valid_N2: NDArray[np.int64] | None = None,
    ) -> SignalTable:
        """Make a table of arrays as a source yields them, and take the limits of their numbers.

        Args:
            arrays, grid, valid_N2: see above.
            settings: the manifest.
            ids, training_N: see `limits_of`.

        Raises:
            InrzooError: as `limits_of`.
        """
        limits_N2 = limits_of(arrays["signals"], settings.values, ids, training_N)
        return cls(
            arrays=arrays,
            grid=grid,
            scale=settings.values,
            coords=settings.coords,
            observation=registry.make("observations", settings.observation),
            limits_N2=limits_N2,
            valid_N2=valid_N2,
        )

    def __len__(self) -> int:
        return len(self.arrays["signals"])

    def __getitem__(self, rows: Rows) -> SignalTable:
        """Some of the signals."""
        return dataclasses.replace(
            self,
            arrays={name: array[rows] for name, array in self.arrays.items()},
            limits_N2=None if self.limits_N2 is None else self.limits_N2[rows],
            valid_N2=None if self.valid_N2 is None else self.valid_N2[rows],
        )

    def values(self, rows: Rows = slice(None)) -> NDArray[np.float32]:
        """Values of some signals, (B, K, C), on the value range."""
        limits_N2 = None if self.limits_N2 is None else self.limits_N2[rows]
        return to_values(np.asarray(self.arrays["signals"][rows]), self.scale, limits_N2)

    def where(self) -> NDArray[np.float32] | None:
        """Coordinates of each signal, (N, K, D), or what an observer takes instead; None for the grid of all."""
        return self.observation.where(self.arrays, self.grid, self.coords.extent)

    def targets(self, rows: Rows = slice(None)) -> Targets:
        """Return what the INRs of some rows are fitted to."""
        part = self[rows]
        numbers_BKC = np.asarray(part.arrays["signals"])
        where = part.where()
        held_out = self.observation.held_out(part.arrays, self.grid, self.coords.extent)
        return Targets(
            coords=self.coords.grid(self.grid) if where is None else where,
            values_BKC=to_values(numbers_BKC, self.scale, part.limits_N2),
            numbers_BKC=numbers_BKC,
            limits_B2=limits_or_own(self.scale, part.limits_N2, len(part)),
            valid_B2=part.valid_N2,
            held_out=None if held_out is None else (held_out[0], to_values(held_out[1], self.scale, part.limits_N2)),
        )

    def digest(self, ids: Sequence[str]) -> str:
        """sha256 (hex) over ids and all arrays: what the fitted signals were, whatever archive they came in.

        Of 8-bit signals on a shared grid it covers ids and numbers alone, as in the first stores; of others the types,
        shapes, points, limits and padding as well.
        """
        total = hashlib.sha256("\n".join(ids).encode())
        extra = {name: array for name, array in self.arrays.items() if name != "signals"}
        for name, array in (("limits", self.limits_N2), ("valid", self.valid_N2)):
            extra |= {} if array is None else {name: array}
        if extra or self.scale.dtype != "uint8":
            signals = self.arrays["signals"]
            total.update(f"\nsignals {signals.dtype} {signals.shape}".encode())
            for name, array in sorted(extra.items()):
                total.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
                _update(total, array)
            total.update(b"\n")
        _update(total, self.arrays["signals"])
        return total.hexdigest()


def limits_or_own(values: Values, limits_B2: NDArray[np.float64] | None, count: int) -> NDArray[np.float64]:
    """The limits of `count` signals, (count, 2): those given, or for the scale `dtype` those of the type."""
    return np.tile(np.array(DTYPE_LIMITS[values.dtype]), (count, 1)) if limits_B2 is None else limits_B2


def to_values(
    numbers: NDArray[Any], values: Values, limits_B2: NDArray[np.float64] | None = None
) -> NDArray[np.float32]:
    """The values, float32, of numbers (B, K, C).

    Args:
        limits_B2: numbers that become the ends of the range; None for those of the scale `dtype`.

    Example:
        >>> to_values(np.array([[[0], [255]]], dtype=np.uint8), Values()).ravel().tolist()
        [-1.0, 1.0]
    """
    low, high = values.range
    if limits_B2 is None and values.dtype == "uint8":  # the arithmetic of the first stores, to the bit
        return numbers.astype(np.float32) * np.float32((high - low) / 255.0) + np.float32(low)
    limits = limits_or_own(values, limits_B2, 1)
    first, last = limits[:, 0, None, None], limits[:, 1, None, None]
    scaled = (numbers.astype(np.float64) - first) * ((high - low) / (last - first)) + low
    return scaled.astype(np.float32)


def to_numbers(values_BKC: NDArray[Any], values: Values, limits_B2: NDArray[np.float64]) -> NDArray[Any]:
    """The numbers, of the signals' type, of values (B, K, C): inverse of `to_values`, rounded and clipped to an integer
    type.
    """
    numbers = to_real_numbers(values_BKC, values, limits_B2)
    dtype = np.dtype(values.dtype)
    if dtype.kind == "f":
        return numbers.astype(dtype)
    bounds = np.iinfo(dtype)
    # What is not finite has no number; it becomes the lowest one.
    return np.nan_to_num(np.rint(numbers), nan=bounds.min).clip(bounds.min, bounds.max).astype(dtype)


def to_real_numbers(values_BKC: NDArray[Any], values: Values, limits_B2: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers of values (B, K, C) as float64, neither rounded nor clipped to the signals' type."""
    low, high = values.range
    first, last = limits_B2[:, 0, None, None], limits_B2[:, 1, None, None]
    return (values_BKC.astype(np.float64) - low) * ((last - first) / (high - low)) + first


def limits_of(
    signals_NKC: NDArray[Any], values: Values, ids: Sequence[str], training_N: NDArray[np.bool_] | None = None
) -> NDArray[np.float64] | None:
    """The numbers of each signal that become the ends of the value range, (N, 2) float64; None for the scale `dtype`.

    Args:
        training_N: signals of the training split, of which the scale `dataset` takes the extremes; of all if there are
            none.

    Raises:
        InrzooError: a signal holds a number that is not finite, or has no width.
    """
    if values.scale == "dtype":
        return None
    return limits_from(extremes_of(signals_NKC, ids), values, ids, training_N)


def extremes_of(signals_NKC: NDArray[Any], ids: Sequence[str]) -> NDArray[np.float64]:
    """The smallest and the largest number of each signal, (N, 2).

    Raises:
        InrzooError: a signal holds a number that is not finite.
    """
    count = len(signals_NKC)
    extremes_N2 = np.empty((count, 2))
    step = max(1, SIGNALS_AT_ONCE_BYTES // max(1, signals_NKC[0].nbytes))
    for start in range(0, count, step):
        part = signals_NKC[start : start + step].astype(np.float64)
        extremes_N2[start : start + step] = np.stack([part.min(axis=(1, 2)), part.max(axis=(1, 2))], axis=1)
    if not np.isfinite(extremes_N2).all():
        bad = ids[int(np.flatnonzero(~np.isfinite(extremes_N2).all(axis=1))[0])]
        raise InrzooError(f"signal {bad} holds numbers that are not finite; leave it out or mend it")
    return extremes_N2


def limits_from(
    extremes_N2: NDArray[np.float64], values: Values, ids: Sequence[str], training_N: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """The limits of `limits_of`, of signals with these extremes, for the scales that take them.

    Raises:
        InrzooError: a signal has no width.
    """
    limits_N2 = extremes_N2.copy()
    if values.scale == "dataset":
        chosen = limits_N2 if training_N is None or not training_N.any() else limits_N2[training_N]
        extremes = values.limits or (chosen[:, 0].min(), chosen[:, 1].max())
        limits_N2[:] = extremes
    if values.symmetric:
        limits_N2 = np.abs(limits_N2).max(axis=1, keepdims=True) * np.array([[-1.0, 1.0]])
    if len(flat := np.flatnonzero(limits_N2[:, 0] >= limits_N2[:, 1])):
        raise InrzooError(
            f"signal {ids[int(flat[0])]} is constant, and so has no scale; leave it out, or set values.scale = dataset"
        )
    return limits_N2


def _update(total: Any, array: NDArray[Any]) -> None:
    for row in array:
        total.update(np.ascontiguousarray(row).data)
