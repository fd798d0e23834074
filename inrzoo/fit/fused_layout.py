"""What a kernel of the fused engine is compiled for, and the order of a grid that it makes use of.

Shape letters: K coordinates, F inputs of the first layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inrzoo.inrs import FilterNetwork, Perceptron


def fastest_axis(inputs_KF: NDArray[np.float32]) -> tuple[int, int]:
    """Return the order of a grid: (points after which the other axes move on, the axis that runs fastest).

    (0, 0) for what is not a grid of two or more axes with two or more points on the fastest: scattered coordinates,
    features of an encoding.
    """
    if len(inputs_KF) < 4 or inputs_KF.shape[1] < 2:
        return 0, 0
    moves = inputs_KF[1] != inputs_KF[0]
    if moves.sum() != 1:
        return 0, 0
    axis = int(moves.argmax())
    others = np.delete(inputs_KF, axis, axis=1)
    moved = (others != others[0]).any(axis=1)
    run = int(moved.argmax())
    if not moved.any() or len(inputs_KF) % run:
        return 0, 0
    rows = inputs_KF.reshape(-1, run, inputs_KF.shape[1])
    still = (np.delete(rows, axis, axis=2) == np.delete(rows, axis, axis=2)[:, :1]).all()
    same = (rows[:, :, axis] == rows[0, :, axis]).all()
    return (run, axis) if still and same else (0, 0)


def header(kernel: Perceptron | FilterNetwork) -> str:
    """layout.h: the sizes and factors that the kernel is compiled for."""
    if isinstance(kernel, FilterNetwork):
        return (
            "#pragma once\n"
            f"#define FILTERS {kernel.num_filters}\n#define GABOR {int(kernel.gabor)}\n"
            f"constexpr int IN = {kernel.in_features}, OUT = {kernel.out_features};\n"
            f"constexpr int HIDDEN = {kernel.hidden_features};\n"
        )
    unit = math.pi if kernel.activation == "sine" else 1.0

    def scales(factors: Sequence[float]) -> str:
        return ", ".join(repr(factor / unit) for factor in factors)

    return (
        "#pragma once\n"
        f"#define FILTERS 0\n#define SINE {int(kernel.activation == 'sine')}\n"
        f"constexpr int IN = {kernel.num_inputs}, OUT = {kernel.out_features};\n"
        f"constexpr int HIDDEN = {kernel.hidden_features}, LAYERS = {kernel.num_hidden};\n"
        f"constexpr float OFFSET = {kernel.output_offset!r}f;\n"
        f"constexpr double WEIGHT_SCALE[] = {{{scales(kernel.weight_factors)}}};\n"
        f"constexpr double BIAS_SCALE[] = {{{scales(kernel.bias_factors)}}};\n"
    )
