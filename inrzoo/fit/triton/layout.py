"""From an INR's flat vector to the kernel's and back, and the sizes that a kernel is compiled for.

In the kernel's vector rows of neurons are padded with zeros to a power of two of at least 16, weights are held
transposed, and what stands in a sine is divided by π (a SIREN's weights and biases are multiplied by ω/π), so that no ω
is left in the inner loop. `perceptron.py` and `filters.py` beside this file say where each tensor stands.

Shape letters: P parameters of one INR, S numbers of the kernel's flat vector, B batch of INRs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.inrs import INR, FilterNetwork, Perceptron
from inrzoo.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch", globals())

TILE = 32
"""Coordinates of one pass."""

MAX_INPUTS = 128
"""Wider first layers, of encodings, compile to code that spills by the thousand on some GPUs."""

MAX_NUMBERS_PER_THREAD = 512
"""Twice the registers of a thread: above, programs wait for what they have spilled."""


@dataclass(frozen=True)
class Layout:
    """Constants that a kernel is compiled for, and the places of an INR's parameters in its flat vector.

    Attributes:
        kind: sine, relu, fourier or gabor.
        num_inputs: of the first layer; `inputs` is padded and has room for the columns of ones and, for Gabor, |x|².
        hidden: neurons of a layer or units of a filter, padded.
        depth: hidden layers or filters.
        channels: C; `out` is padded.
        offset: added to every channel.
        size: S.
        place_P: index in the kernel's vector.
        scale_P: kernel's parameter over the INR's.
    """

    kind: str
    num_inputs: int
    inputs: int
    hidden: int
    depth: int
    channels: int
    out: int
    offset: float
    size: int
    place_P: NDArray[np.int64]
    scale_P: NDArray[np.float64]

    @property
    def constants(self) -> dict[str, Any]:
        """The kernel's compile-time arguments that follow from the INR."""
        return {
            "KIND": self.kind,
            "NUM_INPUTS": self.num_inputs,
            "INPUTS": self.inputs,
            "HIDDEN": self.hidden,
            "DEPTH": self.depth,
            "CHANNELS": self.channels,
            "OUT": self.out,
            "OFFSET": self.offset,
            "SIZE": self.size,
            "TILE": TILE,
            "BLOCK": 128 * self.options["num_warps"],
        }

    def precisions(self, products: str) -> dict[str, str]:
        """The kernel's `input_precision`s. What a sine sees of its first layer is the rest of many half turns, so that
        layer is multiplied in float32 whatever the others are.
        """
        exact = products if self.kind == "relu" or products == "ieee" else "bf16x6"
        return {"PRODUCTS": products, "EXACT": exact}

    @property
    def options(self) -> dict[str, Any]:
        """Options of the compilation: warps of a program, and no software pipelining, which would want shared memory.

        Chosen by counting instructions and spilled registers, not by timing.
        """
        return {"num_warps": 2 if self.hidden <= 32 else 8, "num_stages": 1, "enable_fp_fusion": True}

    @property
    def shared_memory(self) -> int:
        """Bytes of shared memory that a program takes at most, whatever the products.

        The compiler keeps every matrix and its transpose there, and for a moment each tile that a product reads. The
        terms are those that this follows from; tests/fit/test_gpu_compilation.py holds it against the compiler.
        """
        maps, waves = self.depth - 1, self.depth if self.kind in ("fourier", "gabor") else 1
        first = (4 if self.kind == "relu" else 6) * self.inputs * self.hidden * waves
        hidden = 8 * self.hidden**2 * maps
        last = 8 * self.hidden * self.out
        tiles = 4 * TILE * (self.hidden * (maps + 2) + self.inputs + self.out)
        return first + hidden + last + tiles

    @property
    def numbers_per_thread(self) -> int:
        """Gradients and activations that live from tile to tile and from forward to backward, for each thread."""
        kept = {"sine": 2, "relu": 2, "fourier": 4, "gabor": 4}[self.kind]
        waves = {"sine": 1, "relu": 1, "fourier": self.depth, "gabor": 2 * self.depth}[self.kind]
        gradients = (self.depth - 1) * (self.hidden + 16) * self.hidden + waves * self.inputs * self.hidden
        activations = kept * self.depth * TILE * self.hidden
        return (gradients + activations + self.hidden * self.out) // (32 * int(self.options["num_warps"]))

    def refusal(self, shared_memory: int) -> str | None:
        """Why the INR does not fit on a chip with so many bytes of shared memory for a program; None if it does."""
        if self.shared_memory > shared_memory:
            return (
                f"the fused GPU engine would need up to {self.shared_memory} bytes of shared memory for this INR; this "
                f"GPU has {shared_memory}"
            )
        if self.inputs > MAX_INPUTS:
            return f"the fused GPU engine takes up to {MAX_INPUTS - 1} inputs of the first layer, not {self.num_inputs}"
        if self.numbers_per_thread > MAX_NUMBERS_PER_THREAD:
            return (
                f"the fused GPU engine would keep {self.numbers_per_thread} numbers in each thread for this INR; "
                f"{MAX_NUMBERS_PER_THREAD} is the most, half of them in registers"
            )
        return None

    def pack(self, weights_BP: Tensor) -> Tensor:
        """Weights as the kernel holds them, (B, S)."""
        packed_BS = weights_BP.new_zeros(len(weights_BP), self.size)
        packed_BS[:, self._to(weights_BP, self.place_P)] = weights_BP * self._to(weights_BP, self.scale_P)
        return packed_BS

    def unpack(self, packed: Tensor) -> Tensor:
        """Inverse of `pack`, (..., S) to (..., P)."""
        return packed[..., self._to(packed, self.place_P)] / self._to(packed, self.scale_P)

    def table(self, numbers_P: NDArray[np.float64], padding: float, device: torch.device) -> Tensor:
        """Numbers of the INR's parameters in the kernel's order, (S,), float32."""
        table_S = torch.full((self.size,), padding)
        table_S[self.place_P] = torch.from_numpy(numbers_P).float()
        return table_S.to(device)

    @staticmethod
    def _to(like: Tensor, numbers: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(numbers).to(like.device)
        return tensor.to(like.dtype) if tensor.is_floating_point() else tensor


def padded(count: int) -> int:
    """The width of a kernel's row: a power of two, and at least 16 for matrix products."""
    return max(16, 1 << (count - 1).bit_length())


@lru_cache(maxsize=16)
def layout(inr: INR) -> Layout:
    """The kernel's layout for an INR that has a `kernel()`."""
    kernel = inr.kernel()
    assert kernel is not None
    return _perceptron(inr, kernel) if isinstance(kernel, Perceptron) else _filters(inr, kernel)


class _Places:
    """Lays out tensors one behind the other."""

    def __init__(self, inr: INR) -> None:
        self.index = inr.layout.split(np.arange(inr.layout.num_params))
        self.size = 0
        self.place_P = np.full(inr.layout.num_params, -1)
        self.scale_P = np.ones(inr.layout.num_params)

    def add(self, name: str, rows: int, width: int, scale: float = 1.0) -> None:
        """Tensor `name`, (units, inputs) or (units,), transposed into the first corner of `rows` rows of `width`."""
        index = np.atleast_2d(self.index[name].T)
        self.place_P[index] = self.size + width * np.arange(len(index))[:, None] + np.arange(index.shape[1])
        self.scale_P[index] = scale
        self.size += rows * width


def _perceptron(inr: INR, kernel: Perceptron) -> Layout:
    hidden, out = padded(kernel.hidden_features), padded(kernel.out_features)
    unit = math.pi if kernel.activation == "sine" else 1.0
    places = _Places(inr)
    for i in range(kernel.num_hidden):
        rows = hidden if i else kernel.num_inputs
        places.add(f"weight_{i}", rows, hidden, kernel.weight_factors[i] / unit)
        places.add(f"bias_{i}", 1, hidden, kernel.bias_factors[i] / unit)
    places.add(f"weight_{kernel.num_hidden}", hidden, out)
    places.add(f"bias_{kernel.num_hidden}", 1, out)
    return Layout(
        kind=kernel.activation,
        num_inputs=kernel.num_inputs,
        inputs=padded(kernel.num_inputs + 1),
        hidden=hidden,
        depth=kernel.num_hidden,
        channels=kernel.out_features,
        out=out,
        offset=kernel.output_offset,
        size=places.size,
        place_P=places.place_P,
        scale_P=places.scale_P,
    )


def _filters(inr: INR, kernel: FilterNetwork) -> Layout:
    hidden, out = padded(kernel.hidden_features), padded(kernel.out_features)
    places = _Places(inr)
    for i in range(kernel.num_filters):
        places.add(f"omega_{i}", kernel.in_features, hidden, 1 / math.pi)
        places.add(f"phi_{i}", 1, hidden, 1 / math.pi)
        if kernel.gabor:
            places.add(f"mu_{i}", kernel.in_features, hidden)
            places.add(f"gamma_{i}", 1, hidden)
        width = hidden if i < kernel.num_filters - 1 else out
        places.add(f"weight_{i}", hidden, width)
        places.add(f"bias_{i}", 1, width)
    return Layout(
        kind="gabor" if kernel.gabor else "fourier",
        num_inputs=kernel.in_features,
        inputs=padded(kernel.in_features + 1 + kernel.gabor),
        hidden=hidden,
        depth=kernel.num_filters,
        channels=kernel.out_features,
        out=out,
        offset=0.0,
        size=places.size,
        place_P=places.place_P,
        scale_P=places.scale_P,
    )
