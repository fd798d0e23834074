"""Forward and backward pass of a multiplicative filter network (Fathony et al. 2021), one tile of coordinates at a time:

    z₀ = g₀(x);   zᵢ = (W z + b) ⊙ gᵢ(x),      g = sin(ω x + φ), for Gabor times exp(-γ/2 |x - μ|²)

See `FilterPlaces`.
"""

from typing import Any

import numpy as np
from numba import njit

from inrzoo.fit.numba_kernels.places import LANES
from inrzoo.fit.numba_kernels.products import add_transposed_product, product, transpose
from inrzoo.fit.numba_kernels.vector import Vector, every, exponential, fma, load, sine_cosine, spread, store


def prepare(network: Any, work: Any) -> None:
    """Once a step: maps between filters for the backward pass."""
    for i in range(network.num_filters - 1):
        transpose(work, network.weight[i], network.output.hidden, network.transposed[i], np.float32(1))


@njit(error_model="numpy")
def squared_distance(network: Any, inputs: Any, x: int, work: Any, mu: int) -> Vector:
    """|x - μ|² of the units whose μ begin at `mu`."""
    total = every(np.float32(0))
    for d in range(network.inputs):
        apart = spread(inputs, x + d) - load(work, mu + d * network.output.hidden)
        total = fma(apart, apart, total)
    return total


@njit(error_model="numpy")
def evaluate(network: Any, i: int, rows: int, inputs: Any, first: int, work: Any) -> None:
    """Filter `i` at a tile, and its slope."""
    hidden, filters, slopes = network.output.hidden, network.filters[i], network.slopes[i]
    product(rows, inputs, first, network.inputs, work, network.omega[i], hidden, network.phi[i], filters)
    for at in range(0, rows * hidden, LANES):
        value, slope = sine_cosine(load(work, filters + at))
        store(work, filters + at, value)
        store(work, slopes + at, slope)
    if network.gabor:
        for column in range(0, hidden, LANES):
            half_gamma = every(np.float32(-0.5)) * load(work, network.gamma[i] + column)
            for row in range(rows):
                at, x = row * hidden + column, first + row * network.inputs
                envelope = exponential(
                    half_gamma * squared_distance(network, inputs, x, work, network.mu[i] + column)
                )
                store(work, filters + at, load(work, filters + at) * envelope)
                store(work, slopes + at, load(work, slopes + at) * envelope)


def forward(network: Any, rows: int, inputs: Any, first: int, work: Any) -> None:
    """z behind every filter, for the tile whose inputs begin at `first`."""
    hidden = network.output.hidden
    for i in range(network.num_filters):
        evaluate(network, i, rows, inputs, first, work)
        filters, linear, values = network.filters[i], network.linear[i], network.values[i]
        if i == 0:
            for at in range(0, rows * hidden, LANES):
                store(work, values + at, load(work, filters + at))
            continue
        weight, bias = network.weight[i - 1], network.bias[i - 1]
        product(rows, work, network.values[i - 1], hidden, work, weight, hidden, bias, linear)
        for at in range(0, rows * hidden, LANES):
            store(work, values + at, load(work, linear + at) * load(work, filters + at))


def backward(network: Any, rows: int, inputs: Any, first: int, work: Any) -> None:
    """Adds a tile's part to the gradient of the filters and the maps between them, from `delta` down."""
    output = network.output
    hidden, size, above, below = output.hidden, output.size, output.delta, network.other_delta
    for i in range(network.num_filters - 1, -1, -1):
        through_filter(network, i, rows, work, above)
        if network.gabor:
            through_envelope(network, i, rows, inputs, first, work)
        slopes = network.slopes[i]
        add_transposed_product(rows, inputs, first, network.inputs, work, slopes, hidden, size + network.omega[i])
        if i > 0:
            values, gradient = network.values[i - 1], size + network.weight[i - 1]
            add_transposed_product(rows, work, values, hidden, work, above, hidden, gradient)
            product(rows, work, above, hidden, work, network.transposed[i - 1], hidden, output.zeros, below)
            above, below = below, above


@njit(error_model="numpy")
def through_filter(network: Any, i: int, rows: int, work: Any, above: int) -> None:
    """From ∂loss/∂z to that at the phase, in `slopes`, and at W z + b, in place; adds to the gradients of φ and b."""
    hidden, size = network.output.hidden, network.output.size
    filters, slopes, linear = network.filters[i], network.slopes[i], network.linear[i]
    for column in range(0, hidden, LANES):
        phi, bias = every(np.float32(0)), every(np.float32(0))
        for at in range(column, rows * hidden, hidden):
            delta, g = load(work, above + at), load(work, filters + at)
            at_filter = delta * load(work, linear + at) if i > 0 else delta
            at_phase = load(work, slopes + at) * at_filter
            store(work, slopes + at, at_phase)
            phi += at_phase
            store(work, network.scaled + at, at_filter * g)
            store(work, above + at, delta * g)
            bias += delta * g
        add(work, size + network.phi[i] + column, phi)
        if i > 0:
            add(work, size + network.bias[i - 1] + column, bias)


@njit(error_model="numpy")
def through_envelope(network: Any, i: int, rows: int, inputs: Any, first: int, work: Any) -> None:
    """With s = ∂loss/∂g · g, in `scaled`: ∂loss/∂γ = -Σ s |x - μ|²/2, ∂loss/∂μ = Σ s γ (x - μ)."""
    hidden, size = network.output.hidden, network.output.size
    for column in range(0, hidden, LANES):
        mu, gamma = network.mu[i] + column, network.gamma[i] + column
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
