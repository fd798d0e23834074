"""The fit of one INR, from the first step to the last, whatever its family.

Shape letters: P parameters of one INR, K coordinates, F inputs of the first layer, C out_features, T snapshots.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.extending import overload
from numpy.typing import NDArray

from inrzoo.fit.numba_kernels import filters, perceptron
from inrzoo.fit.numba_kernels.places import LANES, TILE, FilterSizes, PerceptronSizes
from inrzoo.fit.numba_kernels.products import add_transposed_product, dots, product
from inrzoo.fit.numba_kernels.vector import every, fma, load, square_root, store

Floats = NDArray[np.float32]


class Problem(NamedTuple):
    """What one INR is fitted to, and from where.

    Attributes:
        inputs: (K, F), flat, padded to a multiple of 8 coordinates with copies of the last one.
        targets_KC: inside the value range.
        start_P: weights to begin with.
        snapshots_T: steps to keep, ascending; the last one is the length of the fit.
        lr: Adam's step size.
        stop_loss: mean squared error at which the fit ends; below 0 for never.
    """

    inputs: Floats
    targets_KC: Floats
    start_P: Floats
    snapshots_T: NDArray[np.int32]
    lr: float
    stop_loss: np.float32


class Kept(NamedTuple):
    """Where the snapshots go."""

    weights_TP: Floats
    losses_T: Floats
    steps_T: NDArray[np.int32]


FAMILIES = {PerceptronSizes: perceptron, FilterSizes: filters}


def prepare(network: Any, table: Any, work: Any) -> None:
    """In compiled code, that of the family that `network` is of; so are the two below."""


def forward(network: Any, table: Any, rows: int, inputs: Any, first: int, work: Any) -> None:
    """From inputs to the last hidden values."""


def backward(network: Any, table: Any, rows: int, inputs: Any, first: int, work: Any) -> None:
    """From the gradient at the last hidden values to that of the weights before them."""


@overload(prepare)
def _prepare(network: Any, table: Any, work: Any) -> Any:
    return FAMILIES[network.instance_class].prepare


@overload(forward)
def _forward(network: Any, table: Any, rows: int, inputs: Any, first: int, work: Any) -> Any:
    return FAMILIES[network.instance_class].forward


@overload(backward)
def _backward(network: Any, table: Any, rows: int, inputs: Any, first: int, work: Any) -> Any:
    return FAMILIES[network.instance_class].backward


@njit(nogil=True, cache=True, error_model="numpy")
def fit(plan: Any, problem: Any, kept: Any) -> None:
    """Adam (Kingma & Ba 2015; β 0.9 and 0.999, ε 1e-8) until the last snapshot, the stop, or a loss that is not finite.

    Args:
        plan, problem, kept: `Plan`, `Problem`, `Kept`.
    """
    # Taken out once: numba counts references whenever an array is taken out of a tuple.
    network, table, places_P, factors_P = plan.network, plan.table, plan.places_P, plan.factors_P
    inputs, targets_KC, start_P, snapshots_T = problem.inputs, problem.targets_KC, problem.start_P, problem.snapshots_T
    num_coords, num_channels = targets_KC.shape
    padded = (num_coords + LANES - 1) // LANES * LANES
    work = np.zeros(plan.floats, np.float32)
    for p in range(len(start_P)):
        work[places_P[p]] = np.float32(start_P[p] * factors_P[p])
    step, snapshot = 0, 0
    first_power, second_power = 1.0, 1.0  # β₁ᵗ and β₂ᵗ
    while True:
        prepare(network, table, work)
        squares = 0.0
        for first in range(0, padded, TILE):
            rows = min(TILE, padded - first)
            forward(network, table, rows, inputs, first * network.inputs, work)
            squares += through_output(network.output, rows, targets_KC, first, work)
            backward(network, table, rows, inputs, first * network.inputs, work)
        loss = np.float32(squares / (num_coords * num_channels))
        stop = loss <= problem.stop_loss or not math.isfinite(loss)
        while snapshot < len(snapshots_T) and (snapshots_T[snapshot] == step or stop):
            for p in range(len(start_P)):
                kept.weights_TP[snapshot, p] = np.float32(work[places_P[p]] / factors_P[p])
            kept.losses_T[snapshot] = loss
            kept.steps_T[snapshot] = step
            snapshot += 1
        if snapshot == len(snapshots_T):
            return
        step += 1
        first_power *= 0.9
        second_power *= 0.999
        for s in range(len(plan.scales_S)):
            # The step grows with the scale of the weights, ε shrinks by both: the update is Adam's own.
            rate = np.float32(problem.lr * plan.scales_S[s] / (1 - first_power))
            epsilon = np.float32(1e-8 / (plan.scales_S[s] * plan.slopes_S[s]))
            correction = np.float32(1 / math.sqrt(1 - second_power))
            begin, end = plan.stretches_S2[s]
            adam(work, begin, end, network.output.size, rate, correction, epsilon)


@njit(error_model="numpy")
def through_output(output: Any, rows: int, targets_KC: Any, first: int, work: Any) -> float:
    """From the last hidden values to `delta`: values, their residual, and the gradient of the map between the two.

    Returns:
        The sum of the squared errors of the tile.
    """
    num_coords, hidden, channels = len(targets_KC), output.hidden, output.channels
    share = np.float32(2 / (num_coords * channels))
    squares = 0.0
    for c in range(channels):
        offset = work[output.bias + c] + np.float32(output.offset)
        dots(rows, work, output.last, hidden, output.weight + c * hidden, offset, output.channel)
        total = np.float32(0)
        for row in range(rows):
            residual = np.float32(0)
            if first + row < num_coords:  # what pads has no residual
                error = work[output.channel + row] - targets_KC[first + row, c]
                squares += np.float64(error) * error
                residual = error * share
            work[output.residual + row * channels + c] = residual
            total += residual
        work[output.size + output.bias + c] += total
    gradient = output.size + output.weight
    add_transposed_product(rows, work, output.residual, channels, work, output.last, hidden, gradient)
    product(rows, work, output.residual, channels, work, output.weight, hidden, output.zeros, output.delta)
    return squares


@njit(error_model="numpy")
def adam(work: Any, begin: int, end: int, size: int, rate: Any, correction: Any, epsilon: Any) -> None:
    """One step of the weights from `begin` to `end`; gradients are zeroed as they are read."""
    for i in range(begin, end, LANES):
        g, m, v = load(work, i + size), load(work, i + 2 * size), load(work, i + 3 * size)
        m = fma(every(np.float32(0.1)), g - m, m)
        v = fma(every(np.float32(0.001)) * g, g, every(np.float32(0.999)) * v)
        store(work, i + 2 * size, m)
        store(work, i + 3 * size, v)
        step = every(rate) * m / fma(square_root(v), every(correction), every(epsilon))
        store(work, i, load(work, i) - step)
        store(work, i + size, every(np.float32(0)))
