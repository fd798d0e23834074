"""Matrices of a layout and the norms of their rows.

A matrix is a tensor of a layout with two axes or more. Its rows, one for each neuron of the first axis, are what the
papers call columns: they write W as in × out. Formulas: docs/derivations/hypernetworks.md#row-norms.

Shape letters: P parameters of one INR; leading dimensions are free.
"""

from typing import Literal, get_args

import numpy as np
from torch import Tensor
from torch.nn import functional

from inrzoo.errors import InrzooError
from inrzoo.inrs import INR, Perceptron
from inrzoo.seeding import Stream
from inrzoo.weights import WeightLayout, WeightTensor

RowNorm = Literal["auto", "unit", "init"]
"""Ways to choose the norm of each row, over its fan-in, for generated and shared matrices.

* unit: 1, as in TransINR and GINR-IPC, whose INRs are ReLU MLPs. (GINR-IPC calls it weight standardisation, but no mean
  is subtracted.)
* init: the root mean square norm of the rows of that matrix in a newly initialised INR. Rows of the sine layers of a
  SIREN or of the filters of an MFN are frequencies, for which 1 would be arbitrary.
* auto: unit for ReLU MLPs, init for all others.
"""


def matrices(layout: WeightLayout) -> list[WeightTensor]:
    """The tensors with two axes or more, in the order of the layout."""
    return [tensor for tensor in layout.tensors if len(tensor.axes) >= 2]


def row_norms(inr: INR, row_norm: RowNorm) -> dict[str, float]:
    """The norm of the rows of each matrix of `inr`, by name of the matrix.

    Raises:
        InrzooError: `row_norm` is unknown.
    """
    if row_norm not in get_args(RowNorm):
        raise InrzooError(f"row_norm = {row_norm!r} is not allowed; it must be one of {', '.join(get_args(RowNorm))}")
    kernel = inr.kernel()
    is_relu = isinstance(kernel, Perceptron) and kernel.activation == "relu"
    if row_norm == "unit" or (row_norm == "auto" and is_relu):
        return {tensor.name: 1.0 for tensor in matrices(inr.layout)}
    initial = inr.layout.split(inr.init(Stream("row norms", "hypernets", 0)).astype(np.float64))
    return {
        tensor.name: float(np.sqrt(np.square(initial[tensor.name]).sum() / tensor.shape[0]))
        for tensor in matrices(inr.layout)
    }


def normalise_rows(matrix: Tensor, num_axes: int, norm: float) -> Tensor:
    """Scale every row to `norm` over its fan-in: (..., rows, fan-in axes) of a tensor with `num_axes` axes."""
    rows = matrix.flatten(start_dim=matrix.ndim - num_axes + 1)
    return (norm * functional.normalize(rows, dim=-1)).reshape(matrix.shape)
