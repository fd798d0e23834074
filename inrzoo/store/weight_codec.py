"""The numbers in which a store keeps weights: float32, or rounded to float16, bfloat16, or int16 or int8 with scales.

A weight vector of P numbers is one row of the array `weights`. Every type decodes to the same float32 numbers in any
arithmetic, and what was decoded encodes to the same row again (docs/derivations/store.md#rounded-weights).

Shape letters: P parameters, W numbers of a stored row, M tensors of the layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import WeightType
from inrzoo.lazy import lazy
from inrzoo.weights import WeightLayout

if TYPE_CHECKING:
    import torch
else:
    torch = lazy("torch", globals())

Compression = Literal["none", "zstd"]
"""Lossless compression of the chunks of `weights`; `zstd` is zarr's codec `blosc`: bytes shuffled, then zstd."""
STORED: dict[str, str] = {"float32": "<f4", "float16": "<f2", "bfloat16": "<u2", "int16": "<i2", "int8": "|i1"}
"""The type of the array `weights`; zarr has no bfloat16, whose 16 bits are kept as uint16."""
STEPS = {"int16": 32767, "int8": 127}
"""The largest number of a row of whole numbers; the one below its negative is not used, so that a row is symmetric."""
BFLOAT16_NAN = 0x7FC0
"""The upper half of float32's NaN."""
SCALE_BITS = {"int16": 23, "int8": 8}
"""Low bits of a scale that are zero, so that its product with any number of a row is exact in float32: a number of int8
has 7 bits and a scale 16; a scale of int16 is a power of 2."""


@dataclass(frozen=True, kw_only=True)
class WeightFormat:
    """How the array `weights` of a store lies on disk. Stores without it have float32, uncompressed: format 1.

    Attributes:
        dtype, compression: of the chunks of the array.
    """

    dtype: WeightType = "float32"
    compression: Compression = "none"


def weight_format_of(dtype: WeightType, compress: bool, rounded_to: WeightType = "float32") -> WeightFormat | None:
    """Return the format of weights of a type; None for that of ordinary stores.

    Args:
        dtype: type of the stored numbers.
        compress: whether they are compressed.
        rounded_to: type that they were rounded to before.
    """
    if (dtype, compress, rounded_to) == ("float32", False, "float32"):
        return None
    return WeightFormat(dtype=dtype, compression="zstd" if compress else "none")


@dataclass(frozen=True)
class WeightCodec:
    """Encodes weight vectors as rows of the array `weights` of a store, and decodes them.

    Attributes:
        dtype: type of the stored numbers.
        layout: the tensors of a weight vector; int16 and int8 have a scale for each.

    Example:
        >>> layout = inrzoo.open_store("digits.zarr").layout
        >>> codec = WeightCodec("int8", layout)
        >>> rows = codec.encode(np.linspace(-1, 1, layout.num_params, dtype=np.float32)[None])
        >>> rows.dtype, rows.shape, codec.decode(rows).shape
        (dtype('int8'), (1, 129), (1, 105))
    """

    dtype: WeightType
    layout: WeightLayout

    @property
    def array_dtype(self) -> np.dtype[Any]:
        """The type of the array `weights`."""
        return np.dtype(STORED[self.dtype])

    @property
    def width(self) -> int:
        """W: P, and for int16 and int8 four bytes more for each tensor, its scale."""
        scales = 4 * len(self.layout.tensors) // self.array_dtype.itemsize
        return self.layout.num_params + (scales if self.dtype in STEPS else 0)

    @property
    def row_bytes(self) -> int:
        """Size of a row in bytes."""
        return self.width * self.array_dtype.itemsize

    @property
    def fill(self) -> float | int:
        """The fill value of the array, which decodes to NaN: the bytes of scales are then those of a NaN."""
        return {"bfloat16": BFLOAT16_NAN, "int16": -1, "int8": -1}.get(self.dtype, float("nan"))

    def round(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the float32 numbers that `decode` gives for encoded weights, shape (..., P)."""
        return weights if self.dtype == "float32" else self.decode(self.encode(weights))

    def encode(self, weights: NDArray[np.float32]) -> NDArray[Any]:
        """Return rows, (..., W), of float32 weights, (..., P).

        Rounded to nearest, ties to even. A tensor of int16 or int8 with a number that is not finite becomes NaN as a
        whole, and numbers beyond ±65504 become infinite in float16.
        """
        if self.dtype == "float32":
            return np.ascontiguousarray(weights, dtype="<f4")
        if self.dtype == "float16":
            with np.errstate(over="ignore"):
                return np.asarray(weights, dtype="<f2")
        if self.dtype == "bfloat16":
            return _upper_halves(np.ascontiguousarray(weights, dtype="<f4"))
        steps = STEPS[self.dtype]
        rows = np.empty((*weights.shape[:-1], self.width), dtype=self.array_dtype)
        scales = np.empty((*weights.shape[:-1], len(self.layout.tensors)), dtype="<f4")
        for number, part in enumerate(self._parts):
            scale = scales[..., number] = self._scale(weights[..., part])
            divisor = np.where(scale > 0, scale, np.float32(1))[..., None]  # NaN and 0 give zeros
            numbers = np.where(np.isnan(scale)[..., None], 0, np.rint(weights[..., part] / divisor))
            rows[..., part] = np.clip(numbers, -steps, steps)
        rows[..., self.layout.num_params :] = scales.view(self.array_dtype)
        return rows

    def decode(self, rows: NDArray[Any], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Return the float32 weights, (..., P), of rows, (..., W).

        Args:
            rows: of the array `weights`.
            out: where to put them; a new array if None.
        """
        if out is None:
            if self.dtype == "float32":
                return rows
            out = np.empty((*rows.shape[:-1], self.layout.num_params), dtype=np.float32)
        if self.dtype == "float32":
            out[...] = rows
        elif self.dtype in STEPS:  # by torch, whose conversions are several times as fast as numpy's, and as exact
            scales = rows[..., self.layout.num_params :].copy().view("<f4")
            factors, weights = torch.from_numpy(scales), torch.from_numpy(out)
            weights.copy_(torch.from_numpy(np.require(rows[..., : self.layout.num_params], requirements="W")))
            for number, part in enumerate(self._parts):
                weights[..., part].mul_(factors[..., number, None])
        else:
            halves = torch.from_numpy(np.require(rows, requirements=["C", "W"]).view(np.int16))
            kind = torch.float16 if self.dtype == "float16" else torch.bfloat16
            torch.from_numpy(out).copy_(halves.view(kind))
        return out

    def _scale(self, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scale, (...,), of the weights of tensors, (..., n): the largest over the largest number of a row.

        Rounded up to a number whose products with numbers of a row are exact in float32. NaN unless all are finite, 0
        where all would become 0.
        """
        steps, low = np.float32(STEPS[self.dtype]), np.uint32(2 ** SCALE_BITS[self.dtype] - 1)
        largest = np.abs(weights).max(axis=-1)
        bits = np.asarray(largest / steps, dtype="<f4").view("<u4")
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scale = ((bits + low) & ~low).view("<f4")
            scale = np.where(largest <= scale / 2, np.float32(0), scale)
            return np.where(np.isfinite(steps * scale) & np.isfinite(largest), scale, np.float32(np.nan))

    @cached_property
    def _parts(self) -> list[slice]:
        """The range of each tensor in a weight vector."""
        offsets = self.layout.offsets
        return [slice(offsets[tensor.name], offsets[tensor.name] + tensor.size) for tensor in self.layout.tensors]


def _upper_halves(weights: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round float32 to its upper 16 bits, to nearest, ties to even; NaN stays NaN."""
    bits = weights.view("<u4")
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(weights), np.uint32(BFLOAT16_NAN), rounded).astype("<u2")
