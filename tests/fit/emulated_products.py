"""Triton's interpreter knows float32 products only; here it learns those that a GPU makes of rounded factors."""

import dataclasses
import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Matrix = NDArray[np.float32]


def switch_on_interpreter() -> None:
    """Let kernels of this process, which has not imported Triton, run on numpy and on one thread."""
    os.environ["TRITON_INTERPRET"] = "1"
    torch.set_num_threads(1)
    install()


def install() -> None:
    """Teach the interpreter of this process."""
    from triton.runtime import interpreter

    def create_dot(_: object, left: Any, right: Any, total: Any, precision: object, __: object) -> Any:
        name = str(precision).rpartition(".")[2].lower()
        return interpreter.TensorHandle(product(left.data, right.data, name) + total.data, total.dtype.scalar)

    interpreter.InterpreterBuilder.create_dot = create_dot
    options = interpreter.interpreter_builder.options
    known = (*options.allowed_dot_input_precisions, "bf16x3", "bf16x6")
    interpreter.interpreter_builder.options = dataclasses.replace(options, allowed_dot_input_precisions=known)


def product(left: Matrix, right: Matrix, precision: str) -> Matrix:
    """As matrix units multiply: factors rounded as named, sums in float32."""
    if precision == "ieee":
        return np.matmul(left, right)
    if precision == "tf32":
        return np.matmul(truncated_to_tf32(left), truncated_to_tf32(right))
    parts = {"bf16x3": 2, "bf16x6": 3}[precision]
    lefts, rights = bfloat16_parts(left, parts), bfloat16_parts(right, parts)
    # Smallest first; what is below the last bit kept is left out.
    pairs = sorted(((i, j) for i in range(parts) for j in range(parts) if i + j < parts), key=sum, reverse=True)
    total = np.zeros((left.shape[0], right.shape[1]), dtype=np.float32)
    for i, j in pairs:
        total += np.matmul(lefts[i], rights[j])
    return total


def truncated_to_tf32(matrix: Matrix) -> Matrix:
    """10 bits behind the leading one; matrix units ignore the others."""
    bits = np.ascontiguousarray(matrix, dtype=np.float32).view(np.uint32) & np.uint32(0xFFFFE000)
    return bits.view(np.float32)


def bfloat16_parts(matrix: Matrix, count: int) -> list[Matrix]:
    """The nearest bfloat16, the one nearest to what is missing, and so on."""
    parts = []
    for _ in range(count):
        bits = np.ascontiguousarray(matrix, dtype=np.float32).view(np.uint32).astype(np.uint64)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        parts.append(np.where(np.isfinite(matrix), rounded.astype(np.uint32).view(np.float32), matrix))
        matrix = np.where(np.isfinite(matrix), matrix - parts[-1], 0).astype(np.float32)
    return parts
