"""Numbers that all INRs of a set share, their base, by the sha256 of these numbers.

An INR is small and has no state; a base is large. An INR therefore names its base, as the recorded table of a store
does, and finds the numbers here: whoever opens a store, or reads a file with a base, remembers it for this process. A
name stands for one base for ever, so it does not matter who remembered it.

Shape letters: Q numbers of a base.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo.array_namespace import from_numpy, is_torch
from inrzoo.errors import InrzooError

NAME = re.compile(r"[0-9a-f]{64}")
"""A name of a base: a sha256 in hexadecimal digits."""
MAX_COPIES = 16
"""Maximum number of tensors of torch that are kept, one for each base, type and device."""
_known: dict[str, NDArray[np.float32]] = {}
_copies: dict[tuple[str, Any, Any], Any] = {}


def remember(base: NDArray[np.float32]) -> str:
    """Keep a base for this process. Shape (Q,), float32.

    Returns:
        Its name: the sha256 (hex) of its numbers as little-endian float32.

    Example:
        >>> name = remember(np.arange(3, dtype=np.float32))
        >>> find(name)
        array([0., 1., 2.], dtype=float32)
    """
    numbers = np.ascontiguousarray(base, dtype="<f4")
    name = hashlib.sha256(numbers.tobytes()).hexdigest()
    _known.setdefault(name, numbers.astype(np.float32))
    return name


def is_known(name: str) -> bool:
    """Whether this process remembers the base of that name."""
    return name in _known


def find(name: str | None) -> NDArray[np.float32]:
    """Return a base, (Q,).

    Raises:
        InrzooError: no base is named, or this process has not seen it.
    """
    if name is None:
        raise InrzooError(
            "these INRs need a base, which all of them share: train one (inrzoo train hypernetwork --hypernet functa) "
            "and pass its run, --base RUN or --fitter RUN; a store holds its own"
        )
    if name not in _known:
        raise InrzooError(
            f"the base {name[:12]}… of these INRs was not read in this process: pass --base with the store or run that "
            "holds it, or open that store and use its store.inr"
        )
    return _known[name]


def like(name: str | None, other: Any) -> Any:
    """Return a base as an array of the library, the type and the device of another one, (Q,)."""
    base = find(name)
    if not is_torch(other):
        return from_numpy(base, other)
    key = (str(name), other.dtype, other.device)
    if key not in _copies:
        while len(_copies) >= MAX_COPIES:
            _copies.pop(next(iter(_copies)))
        _copies[key] = from_numpy(base, other)
    return _copies[key]
