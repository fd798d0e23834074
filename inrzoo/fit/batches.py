"""Number of INRs in a batch of products."""

from inrzoo.inrs import INR


def batch_size(inr: INR, num_coords: int, device: str = "cpu") -> int:
    """INRs to fit in one batch: a function of the INR and the grid alone, so that a build's rounding is reproducible.

    Measured on one core: fastest where a batch's activations take about 2 MiB.
    """
    neurons = sum(inr.layout.neuron_axes.values())
    budget = (2 if device == "cpu" else 512) * 2**20
    fitting = max(1, budget // (4 * num_coords * max(1, neurons)))
    return int(min(max(2 ** (fitting.bit_length() - 1), 4), 128 if device == "cpu" else 8192))
