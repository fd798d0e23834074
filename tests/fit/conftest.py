"""Triton's interpreter, in a process of its own that the files of this folder share."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import emulated_products
import pytest


@pytest.fixture(scope="session")
def interpreter() -> Iterator[ProcessPoolExecutor]:
    """A process in which kernels run on numpy; it is switched on before Triton is imported."""
    switch_on = emulated_products.switch_on_interpreter
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=switch_on) as pool:
        yield pool
