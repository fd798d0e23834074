"""Runs blocks: the worker that fits one, and the loop that fits all in this process. `cluster` runs them on Ray actors.

Blocks are idempotent (same seed, same signals, same file): a second run after a crash is harmless.
"""

import errno
import os
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch

from inrzoo.builder.worker import blocks_at_once, environment_differences, fit_block, fit_blocks
from inrzoo.errors import InrzooError
from inrzoo.fit.interrupt import cancel, interruptible
from inrzoo.store import Block, JoinedShard, Location, Quality, Store, join_shard, location, open_store, write_block
from inrzoo.store.blocks import is_committed, read_record
from inrzoo.trust import trust

MAX_BLOCKS_IN_FLIGHT = 3
"""Maximum number of blocks at the same time in one process, so that cores work while blocks start and are written."""


@dataclass(frozen=True)
class Shard:
    """The task of joining the blocks of a shard of a seed."""

    seed: int
    index: int


OnDone = Callable[[Block, Quality], list[Shard]]
"""Called with a finished block; returns the shards that can now be joined."""
OnJoined = Callable[[Shard, JoinedShard], None]
"""Called with a joined shard."""


class Worker:
    """Fits blocks and joins shards of one store and writes them; only numbers are sent back."""

    def __init__(self, place: str, device: str, threads: int = 1, trusted: Sequence[tuple[str, str]] = ()) -> None:
        for kind, word in trusted:  # a new process has not imported the user's classes
            trust(kind, word)
        self._place, self._device, self._threads = location(place), device, threads

    @cached_property
    def _store(self) -> Store:
        store = open_store(self._place)
        differing = environment_differences(store, self._device)
        if differing:
            raise InrzooError(
                f"{platform.node()} would fit other bits than {store.path} records ({'; '.join(differing)}); use "
                "machines of one kind"
            )
        return store

    def ready(self) -> str:
        """Return the id of this worker's Ray node."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def run(self, block: Block) -> Quality:
        """Fit, write and commit one block."""
        with explained(self._place):
            weights_BTP, quality = fit_block(self._store, block, self._device, threads=self._threads)
            write_block(self._place, block, self._store.info.codec.encode(weights_BTP), quality)
        return quality

    def run_together(self, blocks: list[Block]) -> list[Quality]:
        """Fit several blocks, `blocks_at_once` of them in one call of the engine, then write and commit each."""
        if len(blocks) == 1:
            return [self.run(blocks[0])]
        with explained(self._place):
            fitted = fit_blocks(self._store, blocks, self._device, threads=self._threads)
            for block, (weights_BTP, quality) in zip(blocks, fitted, strict=True):
                write_block(self._place, block, self._store.info.codec.encode(weights_BTP), quality)
        return [quality for _, quality in fitted]

    def run_all(self, blocks: list[Block], again: bool) -> list[Quality | str]:
        """Fit several blocks and commit each; return their qualities, or the error message of a failed block.

        Args:
            blocks: the blocks.
            again: whether a worker died with them; blocks that it has committed are not fitted again.

        Raises:
            InrzooError: an error that the user can fix.
            MemoryError: this process should end.
        """
        results: dict[Block, Quality | str] = {}
        with explained(self._place):
            if again:
                results |= {
                    block: read_record(self._place, block) for block in blocks if is_committed(self._place, block)
                }
            groups = in_groups([block for block in blocks if block not in results], blocks_at_once(self._store))
        for group in groups:
            results |= self._attempt(group)
        return [results[block] for block in blocks]

    def _attempt(self, blocks: list[Block]) -> dict[Block, Quality | str]:
        try:
            return dict(zip(blocks, self.run_together(blocks), strict=True))
        except (InrzooError, MemoryError):
            raise
        except Exception as error:
            if len(blocks) == 1:
                return {blocks[0]: f"{type(error).__name__}: {error}"}
        # One of them may be the cause.
        return {block: result for alone in blocks for block, result in self._attempt([alone]).items()}

    def join(self, shard: Shard) -> JoinedShard:
        """Join the blocks of a shard."""
        with explained(self._place):
            return join_shard(self._place, shard.seed, shard.index)


def in_groups(blocks: list[Block], size: int) -> list[list[Block]]:
    """Return the blocks in groups of `size`, the last one with what remains."""
    return [blocks[first : first + size] for first in range(0, len(blocks), size)]


@contextmanager
def explained(path: Location) -> Iterator[None]:
    """Turn errors of a disk or a server into one line."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        reason = "the disk is full" if error.errno == errno.ENOSPC else reason
        raise InrzooError(
            f"cannot write to {path}: {reason}; finished blocks are safe, the same command continues"
        ) from None


def run_in_process(
    path: Location, todo: list[Block], device: str, on_done: OnDone, on_joined: OnJoined, threads: int
) -> tuple[dict[Block | Shard, str], int]:
    """Fit blocks in this process. Return no failures, as errors are raised, and `threads`.

    Args:
        threads: number of INRs of a block at the same time, for engines whose bits do not depend on it. Then up to
            `MAX_BLOCKS_IN_FLIGHT` blocks run: while one is written or analysed, the others use the cores.
    """
    local = threading.local()
    groups = in_groups(todo, blocks_at_once(open_store(path)))

    def begin() -> None:
        torch.set_num_threads(1)  # a setting of each thread
        local.worker = Worker(str(path), device, threads)

    with interruptible(), ThreadPoolExecutor(min(threads, MAX_BLOCKS_IN_FLIGHT), initializer=begin) as pool:
        running = {pool.submit(lambda group: local.worker.run_together(group), group): group for group in groups}
        try:
            for done in as_completed(running):
                for block, quality in zip(running[done], done.result(), strict=True):
                    for shard in on_done(block, quality):
                        on_joined(shard, join_shard(path, shard.seed, shard.index))
        except BaseException:
            cancel()
            pool.shutdown(cancel_futures=True)
            raise
    return {}, threads
