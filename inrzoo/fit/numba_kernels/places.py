"""Where everything lies that one fit works in: one array of floats for each thread, told by places, counted in floats.

It begins with the INR's weights as the engine keeps them (rows padded to whole vectors; what pads begins at zero, has
gradients of zero, and stays there), then their gradient and Adam's two moments, each `size` floats, in the same order.
Then come the tensors of one tile of `TILE` coordinates.
Formulas: docs/derivations/fitting.md#adam-with-scaled-weights.

Shape letters: P parameters of one INR, S stretches of weights that share a scale.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inrzoo.inrs import FilterNetwork, Perceptron

LANES = 8
TILE = 48
"""Coordinates whose activations are worked on at a time."""

Places = NDArray[np.int64]


class Output(NamedTuple):
    """What is the same for every family: the linear map from the last hidden values to the channels.

    Attributes:
        size: floats of the padded weights; the gradient begins there.
        hidden: hidden units, padded.
        channels: C.
        offset: added to every channel.
        weight: (channels, hidden).
        bias: (channels).
        last: the last hidden values, (TILE, hidden).
        delta: gradient of the loss at those.
        channel: values of one channel, (TILE).
        residual: gradient of the loss at the values, (TILE, channels).
        zeros: (hidden).
    """

    size: int
    hidden: int
    channels: int
    offset: float
    weight: int
    bias: int
    last: int
    delta: int
    channel: int
    residual: int
    zeros: int


class PerceptronSizes(NamedTuple):
    """A multilayer perceptron, see `Perceptron`.

    Hidden weights are held transposed, (inputs, hidden). Weights and biases of sine layers are kept multiplied by ω/π,
    so that a layer is sin(π x).

    A row of `Plan.table` for each hidden layer: its weight, its bias, the weight for the backward pass (with the
    activation's slope factor), and the values and slopes of a tile, (TILE, hidden). On the way back slopes become
    gradients.
    """

    output: Output
    sine: bool
    inputs: int
    num_hidden: int


WEIGHT, BIAS, TRANSPOSED, VALUES, SLOPES = range(5)
"""Columns of `Plan.table` that both families have."""

OMEGA, PHI, MU, GAMMA, FILTERS, LINEAR = range(5, 11)
"""Those of filter networks alone."""


class FilterSizes(NamedTuple):
    """A multiplicative filter network, see `FilterNetwork`.

    ω and μ are held transposed, (inputs, hidden), maps between filters as (inputs, outputs). ω and φ are kept divided
    by π: a filter is sin(π x).

    A row of `Plan.table` for each filter g: what it consists of; the map before it (there is none before the first),
    as in a perceptron; and of a tile, each (TILE, hidden): values z behind it, g and its slope ∂g/∂phase without the
    factor π, and W z + b.

    Attributes:
        other_delta: a second gradient of the loss at z, (TILE, hidden).
        scaled: gradient of the loss at g, times g, (TILE, hidden).
    """

    output: Output
    gabor: bool
    inputs: int
    num_filters: int
    other_delta: int
    scaled: int


class Plan(NamedTuple):
    """Everything about one kind of INR that a kernel is told.

    Attributes:
        network: what its forward and backward pass need to know.
        table: places of the tensors of every layer, see there.
        floats: that one fit works in.
        places_P: where each number of the INR's flat vector is kept.
        factors_P: what it is multiplied by there.
        stretches_S2: first and last place of weights that share the two below.
        scales_S: how much larger the engine's weights are than the INR's.
        slopes_S: how much smaller the engine's gradients are than those of its weights would be.
    """

    network: PerceptronSizes | FilterSizes
    table: Places
    floats: int
    places_P: Places
    factors_P: NDArray[np.float64]
    stretches_S2: Places
    scales_S: NDArray[np.float64]
    slopes_S: NDArray[np.float64]


def padded(count: int) -> int:
    """The next multiple of `LANES`."""
    return -(-count // LANES) * LANES


def plan(kernel: Perceptron | FilterNetwork) -> Plan:
    """Lay out what one fit works in."""
    return _perceptron(kernel) if isinstance(kernel, Perceptron) else _filters(kernel)


class _Weights:
    """Lays tensors out one after the other, in the order of the INR's flat vector."""

    def __init__(self) -> None:
        self.size = 0
        self.places: list[Places] = []
        self.factors: list[float] = []
        self.stretches: list[tuple[int, int, float, float]] = []

    def add(self, matrix: Places, rows: int = 1, factor: float = 1.0, slope: float = 1.0) -> int:
        """A tensor, its numbers told by their positions in the INR's own, as a matrix of `rows` padded rows."""
        first, width = self.size, padded(matrix.shape[1])
        self.size += rows * width
        kept = np.arange(first, self.size).reshape(rows, width)
        order = np.empty(matrix.size, dtype=np.int64)
        order[matrix] = kept[: matrix.shape[0], : matrix.shape[1]]
        self.places.append(order)
        self.factors += [factor] * matrix.size
        self.stretches.append((first, self.size, factor, slope))
        return first

    def add_output(self, channels: int, hidden: int) -> tuple[int, int]:
        """Weight and bias of the map to the channels."""
        return self.add(_positions(channels, hidden), channels), self.add(_positions(1, channels))

    def plan(self, network: PerceptronSizes | FilterSizes, table: Places, floats: int) -> Plan:
        """What was laid out, with the network that it belongs to."""
        bounds, scales, slopes = np.split(np.array(self.stretches), [2, 3], axis=1)
        return Plan(
            network=network,
            table=table,
            floats=floats,
            places_P=np.concatenate(self.places),
            factors_P=np.array(self.factors),
            stretches_S2=bounds.astype(np.int64, order="C"),
            scales_S=scales.flatten(),
            slopes_S=slopes.flatten(),
        )


class _Tile:
    """Lays out what lies behind the weights and their moments."""

    def __init__(self, begin: int) -> None:
        self.end = begin

    def one(self, size: int) -> int:
        """The place of a tensor of `size` floats."""
        self.end += padded(size)
        return self.end - padded(size)

    def output(
        self, size: int, channels: int, hidden: int, behind: tuple[int, int], last: int, offset: float
    ) -> Output:
        """What the map to the channels works in; `behind` are the places of its weight and bias."""
        return Output(
            size=size,
            hidden=hidden,
            channels=channels,
            offset=offset,
            weight=behind[0],
            bias=behind[1],
            last=last,
            delta=self.one(TILE * hidden),
            channel=self.one(TILE),
            residual=self.one(TILE * channels),
            zeros=self.one(hidden),
        )


def _positions(*shape: int) -> Places:
    return np.arange(math.prod(shape)).reshape(shape)


def _perceptron(kernel: Perceptron) -> Plan:
    unit = math.pi if kernel.activation == "sine" else 1.0
    hidden, wide, layers = kernel.hidden_features, padded(kernel.hidden_features), kernel.num_hidden
    weights, table = _Weights(), np.zeros((layers, 5), dtype=np.int64)
    for i in range(layers):
        inputs, rows = (kernel.num_inputs, kernel.num_inputs) if i == 0 else (hidden, wide)
        table[i, WEIGHT] = weights.add(_positions(hidden, inputs).T, rows, kernel.weight_factors[i] / unit, unit)
        table[i, BIAS] = weights.add(_positions(1, hidden), 1, kernel.bias_factors[i] / unit, unit)
    behind = weights.add_output(kernel.out_features, hidden)
    tile = _Tile(4 * weights.size)
    for i in range(layers):
        table[i, TRANSPOSED] = tile.one(wide * wide)
        table[i, VALUES], table[i, SLOPES] = tile.one(TILE * wide), tile.one(TILE * wide)
    last = int(table[-1, VALUES])
    network = PerceptronSizes(
        output=tile.output(weights.size, kernel.out_features, wide, behind, last, kernel.output_offset),
        sine=kernel.activation == "sine",
        inputs=kernel.num_inputs,
        num_hidden=layers,
    )
    return weights.plan(network, table, tile.end)


def _filters(kernel: FilterNetwork) -> Plan:
    hidden, wide, inputs = kernel.hidden_features, padded(kernel.hidden_features), kernel.in_features
    filters = kernel.num_filters
    weights, table = _Weights(), np.zeros((filters, 11), dtype=np.int64)
    for i in range(filters):
        table[i, OMEGA] = weights.add(_positions(hidden, inputs).T, inputs, 1 / math.pi, math.pi)
        table[i, PHI] = weights.add(_positions(1, hidden), 1, 1 / math.pi, math.pi)
        if kernel.gabor:
            table[i, MU] = weights.add(_positions(hidden, inputs).T, inputs)
            table[i, GAMMA] = weights.add(_positions(1, hidden))
        if i + 1 < filters:
            table[i + 1, WEIGHT] = weights.add(_positions(hidden, hidden).T, wide)
            table[i + 1, BIAS] = weights.add(_positions(1, hidden))
    behind = weights.add_output(kernel.out_features, hidden)
    tile = _Tile(4 * weights.size)
    for i in range(filters):
        table[i, TRANSPOSED] = tile.one(wide * wide)
        for column in (VALUES, SLOPES, FILTERS, LINEAR):
            table[i, column] = tile.one(TILE * wide)
    network = FilterSizes(
        output=tile.output(weights.size, kernel.out_features, wide, behind, int(table[-1, VALUES]), 0.0),
        gabor=kernel.gabor,
        inputs=inputs,
        num_filters=filters,
        other_delta=tile.one(TILE * wide),
        scaled=tile.one(TILE * wide),
    )
    return weights.plan(network, table, tile.end)
