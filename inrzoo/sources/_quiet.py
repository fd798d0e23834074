"""Pillow without warnings, in several threads at once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_LOCK = threading.Lock()
_FILTERS = ExitStack()
_inside = 0
"""Number of threads in the block of `quiet`."""


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress Pillow's warnings; its warning of a decompression bomb becomes an error.

    The filters of warnings are those of the process: the first thread sets them and the last one restores them, since a
    thread that restored them by itself would do so under the others.
    """
    global _inside
    from PIL import Image

    with _LOCK:
        if _inside == 0:
            _FILTERS.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
        _inside += 1
    try:
        yield
    finally:
        with _LOCK:
            _inside -= 1
            if _inside == 0:
                _FILTERS.close()
