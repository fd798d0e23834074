"""Triton's interpreter, in a process of its own that the files of this folder share."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch


def _switch_on_interpreter() -> None:
    os.environ["TRITON_INTERPRET"] = "1"
    torch.set_num_threads(1)
    import emulated_products

    emulated_products.install()


@pytest.fixture(scope="session")
def interpreter() -> Iterator[ProcessPoolExecutor]:
    """A process in which kernels run on numpy; it is switched on before Triton is imported."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_switch_on_interpreter) as pool:
        yield pool
