"""Number of INRs in a batch of products, and INRs evaluated in such batches.

Shape letters: B INRs, T snapshots, P parameters, K coordinates, D coordinate dimensions, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from inrzoo.inrs import INR

if TYPE_CHECKING:
    from torch import Tensor


def batch_size(inr: INR, num_coords: int, device: str = "cpu", evaluations: int = 1) -> int:
    """INRs to fit in one batch: a function of the INR and the grid alone, so that a build's rounding is reproducible.

    Measured on one core: fastest where a batch's activations take about 2 MiB.

    Args:
        num_coords: predictions of a step.
        evaluations: evaluations of the INR for one prediction; with more than 1 a batch may be a single INR.
    """
    neurons = inr.num_neurons
    budget = (2 if device == "cpu" else 512) * 2**20
    fitting = max(1, budget // (4 * num_coords * evaluations * max(1, neurons)))
    least = 4 if evaluations == 1 else 1
    return int(min(max(2 ** (fitting.bit_length() - 1), least), 128 if device == "cpu" else 8192))


def evaluated(
    inr: INR,
    weights_BTP: Tensor,
    coords: Tensor,
    evaluate: Callable[[INR, Tensor, Tensor], Tensor],
    evaluations: int = 1,
) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of INRs and their values, (rows, T, K, C), in batches as large in memory as those of a fit.

    Args:
        coords: (K, D) if all INRs share them, or (B, K, D).
        evaluate: an engine's, or a prediction by one, of `evaluations` for each point.
    """
    num_inrs, num_snapshots = weights_BTP.shape[:2]
    size = max(1, batch_size(inr, coords.shape[-2], weights_BTP.device.type, evaluations) // num_snapshots)
    for start in range(0, num_inrs, size):
        rows = slice(start, min(start + size, num_inrs))
        where = coords if coords.ndim == 2 else coords[rows].repeat_interleave(num_snapshots, dim=0)
        values = evaluate(inr, weights_BTP[rows].flatten(0, 1), where)
        yield rows, values.unflatten(0, (-1, num_snapshots))
