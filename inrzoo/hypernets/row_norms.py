"""Matrices of a layout and the norms of their rows.

A matrix is a tensor of a layout with two axes or more. Its rows, one for each neuron of the first axis, are what the
papers call columns: they write W as in × out. Formulas: docs/derivations/hypernetworks.md#row-norms.

Shape letters: P parameters of one INR; leading dimensions are free.
"""

from math import prod
from typing import Literal, get_args

import numpy as np
from torch import Tensor
from torch.nn import functional

from inrzoo.errors import InrzooError
from inrzoo.inrs import INR, Perceptron
from inrzoo.seeding import Stream
from inrzoo.weights import WeightLayout, WeightTensor

RowNorm = Literal["auto", "unit", "init", "none"]
"""Ways to choose the norm of each row, over its fan-in, for generated and shared matrices.

* unit: 1, as in TransINR and GINR-IPC, whose INRs are ReLU MLPs. (GINR-IPC calls it weight standardisation, but no mean
  is subtracted.)
* init: the root mean square norm of the rows of that matrix in a newly initialised INR. Rows of the sine layers of a
  SIREN or of the filters of an MFN are frequencies, for which 1 would be arbitrary.
* none: rows are not normalised. An INR of a signal that is near zero most of the time, such as a sound, need not cancel
  rows of a fixed norm then.
* auto: unit for ReLU MLPs, init for all others, but none for a matrix with a fan-in of 1, such as the frequencies of a
  SIREN on sounds: of such a row a norm would leave the sign alone.
"""


def matrices(layout: WeightLayout) -> list[WeightTensor]:
    """The tensors with two axes or more, in the order of the layout."""
    return [tensor for tensor in layout.tensors if len(tensor.axes) >= 2]


def row_norms(inr: INR, row_norm: RowNorm) -> dict[str, float]:
    """The norm of the rows of each matrix of `inr` whose rows have one, by name of the matrix.

    Raises:
        InrzooError: `row_norm` is unknown.
    """
    if row_norm not in get_args(RowNorm):
        raise InrzooError(f"row_norm = {row_norm!r} is not allowed; it must be one of {', '.join(get_args(RowNorm))}")
    if row_norm == "none":
        return {}
    kernel = inr.kernel()
    is_relu = isinstance(kernel, Perceptron) and kernel.activation == "relu"
    normalised = [t for t in matrices(inr.layout) if row_norm != "auto" or prod(t.shape[1:]) > 1]
    if row_norm == "unit" or (row_norm == "auto" and is_relu):
        return {tensor.name: 1.0 for tensor in normalised}
    initial = inr.layout.split(inr.init(Stream("row norms", "hypernets", 0)).astype(np.float64))
    return {
        tensor.name: float(np.sqrt(np.square(initial[tensor.name]).sum() / tensor.shape[0])) for tensor in normalised
    }


def normalise_rows(matrix: Tensor, num_axes: int, norm: float | None) -> Tensor:
    """Scale every row to `norm` over its fan-in: (..., rows, fan-in axes) of a tensor with `num_axes` axes.

    Without a norm they stay as they are.
    """
    if norm is None:
        return matrix
    rows = matrix.flatten(start_dim=matrix.ndim - num_axes + 1)
    return (norm * functional.normalize(rows, dim=-1)).reshape(matrix.shape)
