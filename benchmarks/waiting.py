"""The cost for a driver to hear of one worker among a thousand: two calls of `ray.wait`, as its loop makes.

Command:  python benchmarks/waiting.py [others]     Duration: a quarter of a minute.
Needs:    nothing but inrzoo.
"""

import argparse
import time
from typing import Any

import ray

from inrzoo.builder import cluster

ROUNDS = 300


@ray.remote(num_cpus=1)
class Sleeper:
    """A worker that is at work."""

    def work(self, seconds: float) -> None:
        time.sleep(seconds)


def cost(quick: Any, others: list[Any]) -> float:
    """CPU milliseconds for one message to `quick` and its answer, while `others` are pending."""
    began = time.process_time()
    for _ in range(ROUNDS):
        pending = [*others, quick.work.remote(0)]
        ray.wait(pending, num_returns=1)
        ray.wait(pending, num_returns=len(pending), timeout=0)
    return 1e3 * (time.process_time() - began) / ROUNDS


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("others", type=int, nargs="?", default=1000, help="workers that are at work (default 1000)")
    num_others = parser.parse_args().others
    cluster.connect(ray, 2, {"CPU": 1}, None)
    busy, quick = Sleeper.remote(), Sleeper.remote()  # type: ignore[attr-defined]
    ray.get(quick.work.remote(0))
    alone = cost(quick, [])
    among = cost(quick, [busy.work.remote(3600) for _ in range(num_others)])
    ray.shutdown()
    print(f"driver CPU for a message: {alone:.3f} ms; with {num_others:,} others at work: {among:.3f} ms")


if __name__ == "__main__":
    main()
