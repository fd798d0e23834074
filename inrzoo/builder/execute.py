"""What fits blocks, and runs them until none is left: here in this process, in `cluster` on Ray actors.

An executor knows blocks and workers, nothing else. Blocks are idempotent (same seed, same signals, same file), so
running one twice after a crash is harmless.
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

from inrzoo.builder.worker import environment_differences, fit_block
from inrzoo.errors import InrzooError
from inrzoo.fit.interrupt import call_off, interruptible
from inrzoo.store import Block, JoinedShard, Location, Quality, Store, join_shard, location, open_store, write_block
from inrzoo.store.blocks import is_committed, read_record
from inrzoo.trust import trust

IN_HAND = 3
"""Blocks at the same time in one process, so that cores have work while some are begun and written."""


@dataclass(frozen=True)
class Shard:
    """A task: join the blocks of a shard of a seed."""

    seed: int
    index: int


OnDone = Callable[[Block, Quality], list[Shard]]
"""Called with a finished block; gives the shards that can be joined now."""
OnJoined = Callable[[Shard, JoinedShard], None]
"""Called with a joined shard."""


class Worker:
    """Fits blocks of one store, joins shards of it, and writes them itself; only numbers travel."""

    def __init__(self, place: str, device: str, threads: int = 1, trusted: Sequence[tuple[str, str]] = ()) -> None:
        for kind, word in trusted:  # another process has imported nothing of the user's yet
            trust(kind, word)
        self._place, self._device, self._threads = location(place), device, threads

    @cached_property
    def _store(self) -> Store:
        store = open_store(self._place)
        differing = environment_differences(store, self._device)
        if differing:
            raise InrzooError(
                f"{platform.node()} would fit other bits than {store.path} records ({'; '.join(differing)}); build on "
                "machines of one kind"
            )
        return store

    def ready(self) -> str:
        """The Ray node that this worker runs on."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    def run(self, block: Block) -> Quality:
        """Fit, write and commit one block."""
        with explained(self._place):
            weights_BTP, quality = fit_block(self._store, block, self._device, threads=self._threads)
            write_block(self._place, block, weights_BTP, quality)
        return quality

    def run_all(self, blocks: list[Block], again: bool) -> list[Quality | str]:
        """Fit several blocks, each committed by itself. In place of a block's quality: what is wrong with it.

        Args:
            again: another worker had them and died, perhaps with some of them committed; those are not fitted again.

        Raises:
            InrzooError: something the user can put right.
            MemoryError: this process should end.
        """
        found: list[Quality | str] = []
        for block in blocks:
            try:
                with explained(self._place):
                    done = read_record(self._place, block) if again and is_committed(self._place, block) else None
                found.append(done or self.run(block))
            except (InrzooError, MemoryError):
                raise
            except Exception as error:
                found.append(f"{type(error).__name__}: {error}")
        return found

    def join(self, shard: Shard) -> JoinedShard:
        """Join the blocks of a shard."""
        with explained(self._place):
            return join_shard(self._place, shard.seed, shard.index)


@contextmanager
def explained(path: Location) -> Iterator[None]:
    """Say in one line that a disk takes no more, or that a server does not answer."""
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
    """Fit blocks in this process. Returns failures (none: an error here is raised) and `threads`.

    Args:
        threads: INRs of a block at the same time, for engines whose bits do not depend on it. Then `IN_HAND` blocks
            are worked on: while one is written and its spectra taken, the others have the cores.
    """
    mine = threading.local()

    def begin() -> None:
        torch.set_num_threads(1)  # counted for each thread apart
        mine.worker = Worker(str(path), device, threads)

    with interruptible(), ThreadPoolExecutor(min(threads, IN_HAND), initializer=begin) as pool:
        running = {pool.submit(lambda block: mine.worker.run(block), block): block for block in todo}
        try:
            for done in as_completed(running):
                for shard in on_done(running[done], done.result()):
                    on_joined(shard, join_shard(path, shard.seed, shard.index))
        except BaseException:
            call_off()
            pool.shutdown(cancel_futures=True)
            raise
    return {}, threads
