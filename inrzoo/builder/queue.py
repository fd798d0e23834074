"""What is still to be done, and how much of it a worker gets at once.

A worker gets several blocks in one message, so that a driver has few messages to send however many workers there are;
each block is still committed by itself. A block whose worker died is handed out alone from then on, so that one that
kills workers takes no other with it.
"""

import math
from collections import Counter
from collections.abc import Iterable
from itertools import islice

from inrzoo.builder.execute import Shard
from inrzoo.store import Block

Task = Block | Shard

ATTEMPTS = 3
"""Of one task."""
HANDFUL_SECONDS = 10.0
"""So long a worker should be busy with what it gets at once."""
HANDFUL = 64
"""Blocks that a worker gets at most: their quality comes back in one message."""
NEAR = 32
"""So many waiting tasks are looked through for those whose signals the worker's node has read already."""


class Queue:
    """Tasks that wait, in order.

    Attributes:
        failures: tasks that were given up, and why.
    """

    def __init__(self, todo: Iterable[Block]) -> None:
        self._waiting: dict[Task, None] = dict.fromkeys(todo)
        self._attempts: Counter[Task] = Counter()
        self._owners: dict[int, str] = {}
        self._block_seconds = math.inf
        self.failures: dict[Task, str] = {}

    def __len__(self) -> int:
        """Tasks that wait."""
        return len(self._waiting)

    def add(self, tasks: Iterable[Task]) -> None:
        """Put tasks behind the others."""
        self._waiting.update(dict.fromkeys(tasks))

    def take(self, node: str, workers: int) -> list[Task]:
        """The next tasks for a worker: one shard, or blocks whose signals its node has read, or that nobody has.

        As many blocks as take it `HANDFUL_SECONDS`, but few enough that `workers` workers stay busy to the end.
        """
        fair = math.ceil(len(self._waiting) / (2 * workers))
        most = max(1, min(HANDFUL, fair, int(HANDFUL_SECONDS / max(self._block_seconds, 1e-3))))
        ranks = {node: 0, None: 1}

        def rank(task: Task) -> int:
            return 0 if isinstance(task, Shard) else ranks.get(self._owners.get(task.index), 2)

        near = sorted(islice(self._waiting, max(NEAR, most)), key=rank)
        first = near[0]
        taken = [first]
        if isinstance(first, Block) and not self._attempts[first]:
            alike = (task for task in near if isinstance(task, Block) and not self._attempts[task])
            taken = [task for task in islice(alike, most) if rank(task) == rank(first)]
        for task in taken:
            del self._waiting[task]
            self._attempts[task] += 1
            if isinstance(task, Block):
                self._owners.setdefault(task.index, node)
        return taken

    def again(self, task: Task) -> bool:
        """Whether it was handed out before the present time."""
        return self._attempts[task] > 1

    def took(self, num_blocks: int, seconds: float) -> None:
        """Learn how long blocks take: by the last worker that came back."""
        self._block_seconds = seconds / num_blocks

    def died(self, tasks: Iterable[Task], why: str) -> None:
        """A worker died with these: they wait again, or are given up."""
        for task in tasks:
            if self._attempts[task] < ATTEMPTS:
                self._waiting[task] = None
            else:
                self.failures[task] = why
