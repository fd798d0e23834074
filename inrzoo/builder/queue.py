"""The queue of waiting tasks, which decides how many a worker gets in one message.

A worker gets several blocks in one message, so that the driver sends few messages to any number of workers; each block
is still committed separately. A block whose worker died is sent alone from then on, as it may have killed the worker.
"""

import math
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from inrzoo.builder.execute import Shard
from inrzoo.store import Block

Task = Block | Shard

ATTEMPTS = 3
"""Maximum number of attempts of one task."""
MESSAGE_SECONDS = 10.0
"""Target duration, in seconds, of one message's blocks."""
MAX_BLOCKS_PER_MESSAGE = 64
"""Maximum number of blocks of one message, whose qualities come back in one message."""
LOOKAHEAD = 32
"""Number of waiting tasks to search for one whose signals are cached on the node."""


class Queue:
    """Waiting tasks in order.

    Attributes:
        failures: reason of each task that has failed for good.
    """

    def __init__(self, todo: Iterable[Block]) -> None:
        self._waiting: dict[Task, None] = dict.fromkeys(todo)
        self._attempts: Counter[Task] = Counter()
        self._owners: dict[int, str] = {}
        self._block_seconds = math.inf
        self.failures: dict[Task, str] = {}

    def __len__(self) -> int:
        """Return the number of waiting tasks."""
        return len(self._waiting)

    def add(self, tasks: Iterable[Task]) -> None:
        """Append tasks."""
        self._waiting.update(dict.fromkeys(tasks))

    def take(self, node: str, workers: int) -> list[Task]:
        """Take the next tasks of a worker: one shard, or blocks whose signals its node, or else no node, has read.

        The blocks take about `MESSAGE_SECONDS`, but are few enough that `workers` workers stay busy to the end.
        """
        fair = math.ceil(len(self._waiting) / (2 * workers))
        most = max(1, min(MAX_BLOCKS_PER_MESSAGE, fair, int(MESSAGE_SECONDS / max(self._block_seconds, 1e-3))))
        ranks = {node: 0, None: 1}

        def rank(task: Task) -> int:
            return 0 if isinstance(task, Shard) else ranks.get(self._owners.get(task.index), 2)

        candidates = sorted(islice(self._waiting, max(LOOKAHEAD, most)), key=rank)
        first = candidates[0]
        tasks = [first]
        if isinstance(first, Block) and not self._attempts[first]:
            alike = (task for task in candidates if isinstance(task, Block) and not self._attempts[task])
            tasks = [task for task in islice(alike, most) if rank(task) == rank(first)]
        for task in tasks:
            del self._waiting[task]
            self._attempts[task] += 1
            if isinstance(task, Block):
                self._owners.setdefault(task.index, node)
        return tasks

    def again(self, task: Task) -> bool:
        """Return whether a task was already sent before its current attempt."""
        return self._attempts[task] > 1

    def took(self, num_blocks: int, seconds: float) -> None:
        """Record the duration of a message, from which that of a block is estimated."""
        self._block_seconds = seconds / num_blocks

    def died(self, tasks: Iterable[Task], why: str) -> None:
        """Queue the tasks of a dead worker again, or let them fail after `ATTEMPTS`."""
        for task in tasks:
            if self._attempts[task] < ATTEMPTS:
                self._waiting[task] = None
            else:
                self.failures[task] = why
