"""Reads initial weights from a file: those of another store, or learned ones.

Shape letters: S seeds, P parameters.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrzoo.errors import InrzooError
from inrzoo.store import open_store

TENSOR = "init"
"""Name of the tensor in a .safetensors file."""


def read_init(path: Path) -> NDArray[np.float32]:
    """Read initial weights that all signals share.

    Args:
        path: a store that was built with a fixed init, or a .safetensors file (which contains no code) with one float32
            tensor `init` of shape (P,) or (S, P) in the order of the INR's layout.

    Returns:
        Shape (1 or S, P), float32.

    Raises:
        InrzooError: the file is absent or has other content, or the store has no shared init.
    """
    if path.is_dir():
        init = open_store(path).init
        if init is None:
            raise InrzooError(
                f"{path} was built with random initial weights; build one with --init shared or --init fixed"
            )
        return init
    if not path.is_file():
        raise InrzooError(f"no init at {path}; --init takes random, shared, fixed, a store or a .safetensors file")
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise InrzooError(f"{path} is not a .safetensors file: {error}") from None
    init = tensors.get(TENSOR)
    if init is None or init.dtype != np.float32 or init.ndim not in (1, 2) or not np.isfinite(init).all():
        listed = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in tensors.items())
        raise InrzooError(
            f"{path} must hold one finite float32 tensor {TENSOR!r} of shape (P,) or (S, P); it holds {listed}"
        )
    return np.atleast_2d(init)
