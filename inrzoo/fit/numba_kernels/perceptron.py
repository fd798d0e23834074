"""Forward and backward pass of a multilayer perceptron, one tile of coordinates at a time; see `PerceptronSizes`."""

from typing import Any

import numpy as np
from numba import njit

from inrzoo.fit.numba_kernels.places import BIAS, LANES, SLOPES, TRANSPOSED, VALUES, WEIGHT
from inrzoo.fit.numba_kernels.products import add_rows, add_transposed_product, multiply, product, transpose
from inrzoo.fit.numba_kernels.vector import every, load, sine_cosine, store, where_positive


def prepare(network: Any, table: Any, work: Any) -> None:
    """Once a step: hidden weights for the backward pass."""
    factor = np.float32(np.pi) if network.sine else np.float32(1)
    for i in range(1, network.num_hidden):
        transpose(work, table[i, WEIGHT], network.output.hidden, table[i, TRANSPOSED], factor)


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


def forward(network: Any, table: Any, rows: int, inputs: Any, first: int, work: Any) -> None:
    """Hidden values of the tile whose inputs begin at `first`."""
    hidden = network.output.hidden
    for i in range(network.num_hidden):
        weight, bias, values = table[i, WEIGHT], table[i, BIAS], table[i, VALUES]
        if i == 0:
            product(rows, inputs, first, network.inputs, work, weight, hidden, bias, values)
        else:
            product(rows, work, table[i - 1, VALUES], hidden, work, weight, hidden, bias, values)
        activate(network.sine, rows * hidden, work, values, table[i, SLOPES])


def backward(network: Any, table: Any, rows: int, inputs: Any, first: int, work: Any) -> None:
    """Adds a tile's part to the gradient of the hidden layers, from `delta` down."""
    output = network.output
    hidden, size, delta = output.hidden, output.size, output.delta
    for i in range(network.num_hidden - 1, -1, -1):
        slopes, gradient = table[i, SLOPES], size + table[i, WEIGHT]
        multiply(rows * hidden, work, delta, slopes, slopes)
        add_rows(rows, hidden, work, slopes, size + table[i, BIAS])
        if i == 0:
            add_transposed_product(rows, inputs, first, network.inputs, work, slopes, hidden, gradient)
        else:
            add_transposed_product(rows, work, table[i - 1, VALUES], hidden, work, slopes, hidden, gradient)
            product(rows, work, slopes, hidden, work, table[i, TRANSPOSED], hidden, output.zeros, delta)
