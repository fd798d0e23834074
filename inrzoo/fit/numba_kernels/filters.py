"""Forward and backward pass of a multiplicative filter network (Fathony et al. 2021), one tile at a time:

    z₀ = g₀(x);   zᵢ = (W z + b) ⊙ gᵢ(x),      g = sin(ω x + φ), for Gabor times exp(-γ/2 |x - μ|²)

See `FilterSizes`.
"""

from typing import Any

import numpy as np
from numba import njit

from inrzoo.fit.numba_kernels.places import (
    BIAS,
    FILTERS,
    GAMMA,
    LANES,
    LINEAR,
    MU,
    OMEGA,
    PHI,
    SLOPES,
    TRANSPOSED,
    VALUES,
    WEIGHT,
)
from inrzoo.fit.numba_kernels.products import add_rows, add_transposed_product, multiply, product, transpose
from inrzoo.fit.numba_kernels.vector import Vector, every, exponential, fma, load, sine_cosine, spread, store


def prepare(network: Any, table: Any, work: Any) -> None:
    """Once a step: maps between filters for the backward pass."""
    for i in range(1, network.num_filters):
        transpose(work, table[i, WEIGHT], network.output.hidden, table[i, TRANSPOSED], np.float32(1))


@njit(error_model="numpy")
def squared_distance(network: Any, inputs: Any, x: int, work: Any, mu: int) -> Vector:
    """|x - μ|² of the units whose μ begin at `mu`."""
    total = every(np.float32(0))
    for d in range(network.inputs):
        apart = spread(inputs, x + d) - load(work, mu + d * network.output.hidden)
        total = fma(apart, apart, total)
    return total


@njit(error_model="numpy")
def evaluate(network: Any, table: Any, i: int, rows: int, inputs: Any, first: int, work: Any) -> None:
    """Filter `i` at a tile, and its slope."""
    hidden, filters, slopes = network.output.hidden, table[i, FILTERS], table[i, SLOPES]
    product(rows, inputs, first, network.inputs, work, table[i, OMEGA], hidden, table[i, PHI], filters)
    for at in range(0, rows * hidden, LANES):
        value, slope = sine_cosine(load(work, filters + at))
        store(work, filters + at, value)
        store(work, slopes + at, slope)
    if network.gabor:
        for column in range(0, hidden, LANES):
            half_gamma = every(np.float32(-0.5)) * load(work, table[i, GAMMA] + column)
            for row in range(rows):
                at, x = row * hidden + column, first + row * network.inputs
                envelope = exponential(half_gamma * squared_distance(network, inputs, x, work, table[i, MU] + column))
                store(work, filters + at, load(work, filters + at) * envelope)
                store(work, slopes + at, load(work, slopes + at) * envelope)


def forward(network: Any, table: Any, rows: int, inputs: Any, first: int, work: Any) -> None:
    """z behind every filter, for the tile whose inputs begin at `first`."""
    hidden = network.output.hidden
    for i in range(network.num_filters):
        evaluate(network, table, i, rows, inputs, first, work)
        filters, linear, values = table[i, FILTERS], table[i, LINEAR], table[i, VALUES]
        if i == 0:
            for at in range(0, rows * hidden, LANES):
                store(work, values + at, load(work, filters + at))
            continue
        weight, bias = table[i, WEIGHT], table[i, BIAS]
        product(rows, work, table[i - 1, VALUES], hidden, work, weight, hidden, bias, linear)
        multiply(rows * hidden, work, linear, filters, values)


def backward(network: Any, table: Any, rows: int, inputs: Any, first: int, work: Any) -> None:
    """Adds a tile's part to the gradient of the filters and the maps between them, from `delta` down."""
    output = network.output
    hidden, size, above, below = output.hidden, output.size, output.delta, network.other_delta
    for i in range(network.num_filters - 1, -1, -1):
        slopes = table[i, SLOPES]
        through_filter(network, table, i, rows * hidden, work, above)
        add_rows(rows, hidden, work, slopes, size + table[i, PHI])
        if network.gabor:
            through_envelope(network, table, i, rows, inputs, first, work)
        add_transposed_product(rows, inputs, first, network.inputs, work, slopes, hidden, size + table[i, OMEGA])
        if i > 0:
            values, gradient = table[i - 1, VALUES], size + table[i, WEIGHT]
            add_rows(rows, hidden, work, above, size + table[i, BIAS])
            add_transposed_product(rows, work, values, hidden, work, above, hidden, gradient)
            product(rows, work, above, hidden, work, table[i, TRANSPOSED], hidden, output.zeros, below)
            above, below = below, above


@njit(error_model="numpy")
def through_filter(network: Any, table: Any, i: int, count: int, work: Any, above: int) -> None:
    """From ∂loss/∂z to that at the phase, in `slopes`, and at W z + b, in place."""
    filters, slopes, linear, scaled = table[i, FILTERS], table[i, SLOPES], table[i, LINEAR], network.scaled
    for at in range(0, count, LANES):
        delta, g = load(work, above + at), load(work, filters + at)
        at_filter = delta * load(work, linear + at) if i > 0 else delta
        store(work, slopes + at, load(work, slopes + at) * at_filter)
        store(work, scaled + at, at_filter * g)
        store(work, above + at, delta * g)


@njit(error_model="numpy")
def through_envelope(network: Any, table: Any, i: int, rows: int, inputs: Any, first: int, work: Any) -> None:
    """With s = ∂loss/∂g · g, in `scaled`: ∂loss/∂γ = -Σ s |x - μ|²/2, ∂loss/∂μ = Σ s γ (x - μ)."""
    hidden, size = network.output.hidden, network.output.size
    for column in range(0, hidden, LANES):
        mu, gamma = table[i, MU] + column, table[i, GAMMA] + column
        width = every(np.float32(0))
        for row in range(rows):
            distance = squared_distance(network, inputs, first + row * network.inputs, work, mu)
            width = fma(load(work, network.scaled + row * hidden + column), distance, width)
        add(work, size + gamma, every(np.float32(-0.5)) * width)
        for d in range(network.inputs):
            centre, pull = load(work, mu + d * hidden), every(np.float32(0))
            for row in range(rows):
                apart = spread(inputs, first + row * network.inputs + d) - centre
                pull = fma(load(work, network.scaled + row * hidden + column), apart, pull)
            add(work, size + mu + d * hidden, pull * load(work, gamma))


@njit(error_model="numpy")
def add(work: Any, place: int, value: Vector) -> None:
    """work[place:] += value."""
    store(work, place, load(work, place) + value)
