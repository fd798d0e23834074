"""Runs blocks on Ray actors, on this machine or on every node of a cluster. Only this file uses Ray.

Actors fit, write and join blocks in the store. The driver sends numbers of blocks and receives the quality of their
INRs. It holds the queue and sends an actor one message at a time, so that its memory does not grow with the store.
"""

import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from inrzoo import registry
from inrzoo.builder.execute import OnDone, OnJoined, Shard, Worker
from inrzoo.builder.queue import ATTEMPTS, Queue, Task
from inrzoo.errors import InrzooError
from inrzoo.extras import needed
from inrzoo.retry import retry_policy
from inrzoo.store import Block, Location

OBJECT_STORE_BYTES = 100 * 2**20  # results are small; Ray's minimum is 75 MiB
NO_SERVER = "Starting Ray client server failed"
"""Error of a Ray head whose process for a client died at its start (a race in Ray, github.com/ray-project/ray issue
63202, in at least one of fourteen cases); a retry may succeed."""
JOIN_ERRORS = (ConnectionError, ValueError, RuntimeError)
"""Errors that Ray raises if it cannot join a cluster."""
LOOK_SECONDS = 1.0
"""Interval in seconds at which the nodes of the cluster are listed."""


class Pool:
    """The actors and their tasks.

    Args:
        ray: the module.
        worker: class of the actors.
        path: the store.
        device: device of the fits.
        workers: number of actors; if None as many as the cluster has room for at any time.
        needs: resources of an actor, by Ray's names.
        on_empty: called repeatedly while no node has room for an actor.
    """

    def __init__(
        self,
        ray: Any,
        worker: type,
        path: Location,
        device: str,
        workers: int | None,
        needs: dict[str, float],
        on_empty: Callable[[], None],
    ) -> None:
        self._ray, self._workers, self._needs, self._on_empty = ray, workers, needs, on_empty
        threads = max(1, int(needs.get("CPU", 1)))
        place = str(path.absolute())
        self._arguments = place, device, threads, [*registry.trusted]
        options = {"num_cpus": needs.get("CPU", 0), "num_gpus": needs.get("GPU", 0)}
        self._actor = ray.remote(**options, max_restarts=0, scheduling_strategy="SPREAD")(worker)
        self.under_way: dict[Any, tuple[Any, list[Task], float]] = {}
        """Actor, tasks (none while it starts) and start time (monotonic, in seconds) by reference of the result."""
        self.nodes: dict[Any, str] = {}
        """Node of each actor that has started."""
        self.idle: list[Any] = []
        self.most = 0
        """Maximum number of actors at the same time."""
        self._looked, self._room = -math.inf, 0

    def follow(self, num_tasks: int) -> None:
        """Start actors while there are room and tasks for more."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked, self._room = time.monotonic(), room(self._ray.nodes(), self._needs)
            if not self._room:
                self._on_empty()
            self._room = self._workers or self._room
        while len(self) < min(self._room, num_tasks):
            actor = self._actor.remote(*self._arguments)
            self.under_way[actor.ready.remote()] = actor, [], time.monotonic()
        self.most = max(self.most, len(self.nodes))

    def __len__(self) -> int:
        """Return the number of actors that start, work or wait."""
        return len(self.under_way) + len(self.idle)

    @property
    def num_tasks(self) -> int:
        """Number of tasks that are under way."""
        return sum(len(tasks) for _, tasks, _ in self.under_way.values())

    def submit(self, actor: Any, tasks: list[Task], again: bool) -> None:
        """Send blocks, or one shard, to an idle actor."""
        self.idle.remove(actor)
        result = actor.join.remote(tasks[0]) if isinstance(tasks[0], Shard) else actor.run_all.remote(tasks, again)
        self.under_way[result] = actor, tasks, time.monotonic()

    def forget(self, actor: Any) -> None:
        """Remove an actor and end its process."""
        self.nodes.pop(actor, None)
        self._ray.kill(actor)


def room(nodes: list[dict[str, Any]], needs: dict[str, float]) -> int:
    """Return how many workers fit on the living nodes."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    return sum(min(int(has.get(name, 0) / needed + 1e-6) for name, needed in needs.items()) for has in alive)


def run_on_ray(
    path: Location,
    todo: list[Block],
    device: str,
    on_done: OnDone,
    on_joined: OnJoined,
    *,
    workers: int | None,
    address: str | None,
    needs: dict[str, float],
    say: Callable[[str], None],
    worker: type[Worker] = Worker,
) -> tuple[dict[Task, str], int]:
    """Fit blocks and join shards on Ray actors. A worker that dies is replaced and its tasks are retried.

    Args:
        path: the store.
        todo: the missing blocks.
        device: device of the fits.
        on_done: called with a finished block; returns the shards that can now be joined.
        on_joined: called with a joined shard.
        workers: number of workers; None follows the cluster as nodes join and leave.
        address: a running cluster: `auto`, `ray://HEAD:PORT` or `HEAD:PORT`; a new one on this machine if None.
        needs: resources of a worker.
        say: prints a line for the user.
        worker: class of the actors.

    Returns:
        The reason of each task that failed `ATTEMPTS` times, and the maximum number of workers.

    Raises:
        InrzooError: a worker could not write, or the cluster cannot be reached.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    connect(ray, workers, needs, address)
    queue = Queue(todo)
    failed_starts, waited = 0, False

    def died(tasks: list[Task], why: str) -> None:
        nonlocal failed_starts
        if not tasks:
            failed_starts += 1
            if failed_starts >= ATTEMPTS and not pool.nodes:
                raise InrzooError(f"no worker could be started on the cluster: {why}")
        queue.died(tasks, why)

    def empty() -> None:
        nonlocal waited
        if address is None:
            raise InrzooError("Ray on this machine has died; finished blocks are safe, the same command continues")
        if not waited:
            say(f"no node has room for a worker ({_listed(needs)}); waiting for one to join")
        waited = True

    def took(tasks: list[Task], result: Any, seconds: float) -> None:
        if isinstance(tasks[0], Shard):
            on_joined(tasks[0], result)
            return
        queue.took(len(tasks), seconds)
        for block, outcome in zip(tasks, result, strict=True):
            assert isinstance(block, Block)
            if isinstance(outcome, str):
                queue.failures[block] = outcome
            else:
                queue.add(on_done(block, outcome))

    try:
        pool = Pool(ray, worker, path, device, workers, needs, empty)
        while queue or pool.num_tasks:
            pool.follow(len(queue) + pool.num_tasks)
            for actor in list(pool.idle):
                if queue:
                    tasks = queue.take(pool.nodes[actor], len(pool))
                    pool.submit(actor, tasks, queue.again(tasks[0]))
            waiting = list(pool.under_way)
            done, _ = ray.wait(waiting, num_returns=1, timeout=LOOK_SECONDS)
            if done:  # other results that have arrived cost no further round
                done, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
            for reference in done:
                actor, tasks, began = pool.under_way.pop(reference)
                try:
                    result = ray.get(reference)
                except RayTaskError as error:
                    if isinstance(error.cause, InrzooError):
                        raise InrzooError(str(error.cause)) from None
                    if isinstance(error.cause, MemoryError) or not tasks:
                        pool.forget(actor)  # which frees its memory
                        died(tasks, "out of memory" if isinstance(error.cause, MemoryError) else str(error.cause))
                        continue
                    queue.failures |= dict.fromkeys(tasks, f"{type(error.cause).__name__}: {error.cause}")
                except RayError as error:
                    pool.forget(actor)
                    died(tasks, f"the worker died {ATTEMPTS} times ({type(error).__name__})")
                    continue
                else:
                    if tasks:
                        took(tasks, result, time.monotonic() - began)
                    else:
                        pool.nodes[actor] = result
                pool.idle.append(actor)
    finally:
        ray.shutdown()
    return queue.failures, pool.most


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Restore the handler of SIGTERM, which Ray replaces by one that ends the process."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _listed(needs: dict[str, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in needs.items())


def connect(ray: Any, workers: int | None, needs: dict[str, float], address: str | None) -> None:
    """Start Ray on this machine, or join a cluster.

    Raises:
        InrzooError: the cluster cannot be reached.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the coming default; silences a warning
    common = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        resources = {f"num_{name.lower()}s": math.ceil(amount * (workers or 1)) for name, amount in needs.items()}
        sizes = {"num_cpus": 1, **resources, "object_store_memory": OBJECT_STORE_BYTES}
        # A new cluster, even if another one runs on this machine.
        with _own_sigterm():
            ray.init(address="local", include_dashboard=False, **sizes, **common)
        return

    def join() -> None:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Ray Client connection timed out")  # also an error, reported below
                with _own_sigterm():
                    ray.init(address=address, **common)
        except JOIN_ERRORS:
            ray.shutdown()  # otherwise Ray stays a client and starts no cluster on this machine
            raise

    try:
        with needed("cluster", f"joining {address!r}"):
            retry_policy(lambda error: isinstance(error, JOIN_ERRORS) and NO_SERVER in str(error), tries=ATTEMPTS)(join)
    except JOIN_ERRORS as error:
        reason = str(error).strip().splitlines()[-1].strip()  # the lines before it are the head's traceback
        raise InrzooError(f"cannot join a Ray cluster at {address!r}: {reason}") from None
