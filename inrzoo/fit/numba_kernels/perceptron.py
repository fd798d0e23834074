"""Forward and backward pass of a multilayer perceptron, one tile of coordinates at a time; see `PerceptronPlaces`."""

from typing import Any

import numpy as np
from numba import njit

from inrzoo.fit.numba_kernels.places import LANES
from inrzoo.fit.numba_kernels.products import add_transposed_product, product, transpose
from inrzoo.fit.numba_kernels.vector import every, load, sine_cosine, store, where_positive


def prepare(network: Any, work: Any) -> None:
    """Once a step: hidden weights for the backward pass."""
    factor = np.float32(np.pi) if network.sine else np.float32(1)
    for i in range(1, network.num_hidden):
        transpose(work, network.weight[i], network.output.hidden, network.transposed[i], factor)


@njit(error_model="numpy")
def activate(sine: bool, count: int, work: Any, values: int, slopes: int) -> None:
    """From pre-activations to values, in place, and slopes."""
    if sine:
        for i in range(0, count, LANES):
            value, slope = sine_cosine(load(work, values + i))
            store(work, values + i, value)
            store(work, slopes + i, slope)
    else:
        for i in range(0, count, LANES):
            x = load(work, values + i)
            store(work, values + i, where_positive(x, x))
            store(work, slopes + i, where_positive(x, every(np.float32(1))))


@njit(error_model="numpy")
def multiply_and_sum(rows: int, columns: int, work: Any, delta: int, slopes: int, total: int) -> None:
    """slopes *= delta; total (columns) += their sum over rows, the gradient of a bias."""
    for column in range(0, columns, LANES):
        sum_of_rows = load(work, total + column)
        for at in range(column, rows * columns, columns):
            gradient = load(work, delta + at) * load(work, slopes + at)
            store(work, slopes + at, gradient)
            sum_of_rows += gradient
        store(work, total + column, sum_of_rows)


def forward(network: Any, rows: int, inputs: Any, first: int, work: Any) -> None:
    """Hidden values of the tile whose inputs begin at `first`."""
    hidden = network.output.hidden
    for i in range(network.num_hidden):
        weight, bias, values = network.weight[i], network.bias[i], network.values[i]
        if i == 0:
            product(rows, inputs, first, network.inputs, work, weight, hidden, bias, values)
        else:
            product(rows, work, network.values[i - 1], hidden, work, weight, hidden, bias, values)
        activate(network.sine, rows * hidden, work, values, network.slopes[i])


def backward(network: Any, rows: int, inputs: Any, first: int, work: Any) -> None:
    """Adds a tile's part to the gradient of the hidden layers, from `delta` down."""
    output = network.output
    hidden, size, delta = output.hidden, output.size, output.delta
    for i in range(network.num_hidden - 1, -1, -1):
        slopes, gradient = network.slopes[i], size + network.weight[i]
        multiply_and_sum(rows, hidden, work, delta, slopes, size + network.bias[i])
        if i == 0:
            add_transposed_product(rows, inputs, first, network.inputs, work, slopes, hidden, gradient)
        else:
            add_transposed_product(rows, work, network.values[i - 1], hidden, work, slopes, hidden, gradient)
            product(rows, work, slopes, hidden, work, network.transposed[i], hidden, output.zeros, delta)
