"""The gradient of the mean squared errors of perceptrons by their weights, which can be differentiated once more.

It is what an inner step of MAML needs: the step takes the gradient, and the outer gradient needs its product with the
Hessian, which is exact here too (`source/curvature.cpp`). Autograd instead differentiates a graph of small operations,
each of which reads and writes all activations.

Shape letters: B batch of INRs, P parameters of one INR, K coordinates, D in_features, F inputs of the first layer,
C out_features.
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from inrzoo.inrs import INR, Perceptron
from inrzoo.native.library import is_available, library, run, unavailable

LEAST_PRODUCTS = 2**18
"""Coordinates times weights from which on native code pays, which is compiled for seconds for every shape of INR."""


def unsuitable(inr: INR, weights_BP: Tensor, num_coords: int) -> str | None:
    """Why `loss_gradients` should not serve these INRs on this machine, in one line; None if it should."""
    kernel = inr.kernel()
    if not isinstance(kernel, Perceptron):
        return f"{type(inr).__name__} is no perceptron"
    if weights_BP.dtype != torch.float32 or weights_BP.device.type != "cpu":
        return f"the weights are {weights_BP.dtype} on {weights_BP.device.type}, not torch.float32 on cpu"
    if num_coords * weights_BP.shape[1] < LEAST_PRODUCTS:
        return f"{num_coords} coordinates and {weights_BP.shape[1]} weights are too few to compile for"
    return None if is_available() else unavailable()


def loss_gradients(inr: INR, weights_BP: Tensor, coords: Tensor, values_BKC: Tensor) -> Tensor:
    """The gradient of each INR's mean squared error over coordinates and channels by its weights.

    As many threads as torch uses share the INRs, each of which one thread computes alone. The result can be
    differentiated by the weights, once.

    Args:
        inr: a `Perceptron`.
        weights_BP: (B, P), float32 on a CPU.
        coords: (K, D) or (B, K, D).
        values_BKC: (B, K, C).

    Returns:
        (B, P).

    Raises:
        InrzooError: there is no compiler, or it fails.

    Example:
        >>> inr = Siren(in_features=2, out_features=1)
        >>> weights_BP = torch.zeros(5, inr.layout.num_params)
        >>> loss_gradients(inr, weights_BP, torch.zeros(7, 2), torch.zeros(5, 7, 1)).shape
        torch.Size([5, 1185])
    """
    kernel = inr.kernel()
    assert isinstance(kernel, Perceptron)
    inputs = _plain(kernel.inputs(coords))
    gradients_BP: Tensor = _LossGradients.apply(weights_BP, inputs, _plain(values_BKC), kernel)  # type: ignore[no-untyped-call]
    return gradients_BP


def squared_errors(inr: INR, weights_BP: Tensor, coords: Tensor, values_BKC: Tensor) -> Tensor:
    """The mean squared error of each INR, (B,), which can be differentiated by the weights, twice.

    Arguments and errors are those of `loss_gradients`. The gradient is computed with the error.
    """
    kernel = inr.kernel()
    assert isinstance(kernel, Perceptron)
    inputs = _plain(kernel.inputs(coords))
    errors_B: Tensor = _SquaredErrors.apply(weights_BP, inputs, _plain(values_BKC), kernel)  # type: ignore[no-untyped-call]
    return errors_B


class _SquaredErrors(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights_BP: Tensor, inputs: Tensor, values_BKC: Tensor, kernel: Perceptron) -> Tensor:
        errors_B = weights_BP.new_empty(len(weights_BP))
        gradients_BP = _run(kernel, weights_BP, inputs, values_BKC, None, errors_B)
        ctx.save_for_backward(weights_BP, inputs, values_BKC, gradients_BP)
        ctx.kernel = kernel
        return errors_B

    @staticmethod
    def backward(ctx: Any, slopes_B: Tensor) -> tuple[Tensor | None, ...]:
        weights_BP, inputs, values_BKC, gradients_BP = ctx.saved_tensors
        if torch.is_grad_enabled():  # to be differentiated once more
            gradients_BP = _LossGradients.apply(weights_BP, inputs, values_BKC, ctx.kernel)  # type: ignore[no-untyped-call]
        return slopes_B[:, None] * gradients_BP, None, None, None


class _LossGradients(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights_BP: Tensor, inputs: Tensor, values_BKC: Tensor, kernel: Perceptron) -> Tensor:
        ctx.save_for_backward(weights_BP, inputs, values_BKC)
        ctx.kernel = kernel
        return _run(kernel, weights_BP, inputs, values_BKC, None)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, directions_BP: Tensor) -> tuple[Tensor | None, ...]:
        """The Hessian is symmetric: its product with what comes from behind."""
        weights_BP, inputs, values_BKC = ctx.saved_tensors
        return _run(ctx.kernel, weights_BP, inputs, values_BKC, directions_BP), None, None, None


class _Job(ctypes.Structure):
    """`Job` of source/curvature.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("inputs", "targets", "weights", "directions", "results", "losses")),
        ("inputs_stride", ctypes.c_longlong),
        *((name, ctypes.c_int) for name in ("num_coords", "num_params")),
    )


def _run(
    kernel: Perceptron,
    weights_BP: Tensor,
    inputs: Tensor,
    values_BKC: Tensor,
    directions_BP: Tensor | None,
    errors_B: Tensor | None = None,
) -> Tensor:
    """The gradients, or their derivatives along directions, (B, P); errors are written into `errors_B`."""
    weights_BP = _plain(weights_BP)
    directions_BP = None if directions_BP is None else _plain(directions_BP)
    results_BP = torch.empty_like(weights_BP)
    job = _Job(
        inputs=inputs.data_ptr(),
        targets=values_BKC.data_ptr(),
        weights=weights_BP.data_ptr(),
        directions=None if directions_BP is None else directions_BP.data_ptr(),
        results=results_BP.data_ptr(),
        losses=None if errors_B is None else errors_B.data_ptr(),
        inputs_stride=0 if inputs.ndim == 2 else inputs[0].numel(),
        num_coords=values_BKC.shape[1],
        num_params=weights_BP.shape[1],
    )
    run(library("curvature.cpp", {"shape.h": _shape(kernel)}), job, len(weights_BP))
    return results_BP


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.float32).contiguous()


def _shape(kernel: Perceptron) -> str:
    def floats(factors: tuple[float, ...]) -> str:
        return ", ".join(f"(float){factor!r}" for factor in factors)

    return (
        "#pragma once\n"
        f"constexpr int IN = {kernel.num_inputs}, HIDDEN = {kernel.hidden_features}, LAYERS = {kernel.num_hidden};\n"
        f"constexpr int OUT = {kernel.out_features};\n"
        f"constexpr bool SINE = {str(kernel.activation == 'sine').lower()};\n"
        f"constexpr float OFFSET = (float){kernel.output_offset!r};\n"
        f"constexpr float WEIGHT_FACTOR[] = {{{floats(kernel.weight_factors)}}};\n"
        f"constexpr float BIAS_FACTOR[] = {{{floats(kernel.bias_factors)}}};\n"
    )
