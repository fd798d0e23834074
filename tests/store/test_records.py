"""Commit records, read by many threads at a time."""

import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from inrzoo.store.blocks import COLUMNS, Block, Quality, read_record, write_block


class Cycle:
    """What the garbage collector finds; its end runs Python, where another thread may get its turn."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        for _ in range(50):
            pass


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns, and the garbage collector runs, far more often than they usually do."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-5)
    gc.set_threshold(50)
    yield
    sys.setswitchinterval(interval)
    gc.set_threshold(*threshold)


def test_a_sound_record_is_sound_in_every_thread(restless: None, tmp_path: Path) -> None:
    """Without a lock one read in twenty fails here (CPython, gh-106905), and a sound block is dropped for it."""
    columns = {name: np.zeros((4, *[2] * len(column.axes)), column.dtype) for name, column in COLUMNS.items()}
    write_block(tmp_path, Block(0, 0), np.zeros((4, 2, 3), np.float32), Quality(**columns))

    def read(depth: int) -> bool:
        if depth:  # each thread at another depth of the stack, as the interpreter's bug wants it
            return read(depth - 1)
        Cycle()
        return len(read_record(tmp_path, Block(0, 0)).psnr) == 4

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(read, (turn % 20 for turn in range(600))))
