"""Formulas that are written once for arrays of numpy, of jax and of torch.

numpy and jax arrays name the module of their functions (`__array_namespace__`, the Python array API standard, 2022.12).
torch's tensors do not, and its functions have the standard's names and keywords as far as they are used here, such as
`sin`, `square`, `concat(…, axis=)`, `sum(…, axis=, keepdims=)` and `broadcast_to`. The functions of this file are those
in which torch differs, or in which its own call is faster or rounds otherwise.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any


def array_namespace(*arrays: Any) -> Any:
    """Return the module whose functions take these arrays: `numpy`, `jax.numpy` or `torch`. numpy's need no torch.

    Raises:
        TypeError: they belong to several libraries, or to none of these.

    Example:
        >>> array_namespace(np.ones(3)).__name__, array_namespace(torch.ones(3)).__name__
        ('numpy', 'torch')
    """
    first = _namespace(arrays[0])
    for array in arrays[1:]:
        other = _namespace(array)
        if other is not first:
            raise TypeError(f"arrays of {first.__name__} and of {other.__name__} were mixed; convert one of them")
    return first


def _namespace(array: Any) -> Any:
    if hasattr(array, "__array_namespace__"):
        return array.__array_namespace__()
    import torch

    if not isinstance(array, torch.Tensor):
        raise TypeError(f"expected an array of numpy or jax, or a tensor of torch, not {type(array).__name__}")
    return torch


def is_torch(array: Any) -> bool:
    """Whether this is a tensor of torch."""
    return bool(_namespace(array).__name__ == "torch")


def affine(bias: Any, left: Any, right: Any) -> Any:
    """Return `bias + left @ right` of a batch of matrices; the bias is broadcast. Shapes (B, M, K), (B, K, N)."""
    xp = _namespace(left)
    return xp.baddbmm(bias, left, right) if xp.__name__ == "torch" else xp.matmul(left, right) + bias


def relu(array: Any) -> Any:
    """Return max(0, x), NaN where x is; its derivative at 0 is 0."""
    xp = _namespace(array)
    return xp.relu(array) if xp.__name__ == "torch" else xp.where(array <= 0, xp.zeros_like(array), array)


def take_along_axis(array: Any, indices: Any, axis: int) -> Any:
    """Return the entries at `indices` along an axis, as `numpy.take_along_axis`."""
    xp = _namespace(array)
    return (
        xp.take_along_dim(array, indices, axis) if xp.__name__ == "torch" else xp.take_along_axis(array, indices, axis)
    )


def from_numpy(array: Any, like: Any) -> Any:
    """Return an array of numpy as one of the library, the type and the device of `like`."""
    if not is_torch(like):
        return _namespace(like).asarray(array, dtype=like.dtype)
    import torch

    with torch.inference_mode(False):  # a tensor that is kept may be used outside of it
        return torch.from_numpy(array).to(like.device, like.dtype)


def as_type(array: Any, dtype: Any) -> Any:
    """Return the array in another type."""
    return array.to(dtype) if is_torch(array) else array.astype(dtype)


def is_repeated(array: Any) -> bool:
    """Whether the first axis repeats one entry in memory, as after `broadcast_to`; False where this is not known."""
    if is_torch(array):
        return bool(array.stride(0) == 0)
    return bool(getattr(array, "strides", (1,))[0] == 0)


def double_precision(array: Any) -> AbstractContextManager[Any]:
    """Return a context in which float64 is computed in float64; jax does not do so by default."""
    if array_namespace(array).__name__ != "jax.numpy":
        return nullcontext()
    import jax

    enabled = jax.enable_x64 if hasattr(jax, "enable_x64") else jax.experimental.enable_x64  # its earlier place
    context: AbstractContextManager[Any] = enabled(True)
    return context
