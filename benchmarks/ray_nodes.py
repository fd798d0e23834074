"""A Ray cluster of several nodes on one machine, in a process of its own: for faults, and for tests.

Command:  python benchmarks/ray_nodes.py CPUS [CPUS ...]
Needs:    nothing but inrzoo.
It starts a head without cores and a node of so many cores each, and says
their address, and the one for clients from outside. Lines on its input: `add CPUS`, `kill I` (SIGKILL to everything of
a node), answered by `ok`.
"""

import argparse
import os
import socket
import subprocess
import sys
from typing import IO, Any


class Nodes:
    """The cluster, from outside."""

    def __init__(self, *cpus: int) -> None:
        words = [sys.executable, __file__, *map(str, cpus)]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"},  # see docs/cluster.md
        )
        self.address, self.from_outside = self._answer().split()
        self.pid = self._process.pid
        """Process that starts the nodes."""

    def __enter__(self) -> "Nodes":
        return self

    def __exit__(self, *_: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def add(self, cpus: int) -> None:
        """Let a node join."""
        self._say(f"add {cpus}")

    def kill(self, index: int) -> None:
        """Kill a node, numbered in the order of joining from 0, and all processes on it."""
        self._say(f"kill {index}")

    def _say(self, words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        if self._answer() != "ok":
            raise RuntimeError(f"the cluster did not {words}")

    def _answer(self) -> str:
        stdout: IO[str] | None = self._process.stdout
        assert stdout is not None
        while line := stdout.readline():
            if line.startswith("inrzoo: "):
                return line.removeprefix("inrzoo: ").strip()
        raise RuntimeError("the cluster ended")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _main(cpus: list[int]) -> None:
    from ray.cluster_utils import Cluster

    # A node counts as dead after seconds, not the half minute that suits real networks.
    fast = {"health_check_period_ms": 500, "health_check_timeout_ms": 1000, "health_check_failure_threshold": 3}
    size = {"object_store_memory": 80 * 2**20}
    for_clients, for_environments = _free_port(), _free_port()
    # The server for clients asks the agent for environments at a port that it must know beforehand.
    ports = {"ray_client_server_port": for_clients, "runtime_env_agent_port": for_environments}
    head = {"num_cpus": 0, **ports, "_system_config": fast, **size}
    cluster = Cluster(True, head_node_args=head)
    nodes = [cluster.add_node(num_cpus=count, **size) for count in cpus]
    cluster.wait_for_nodes()
    print(f"inrzoo: {cluster.address} ray://127.0.0.1:{for_clients}", flush=True)
    for line in sys.stdin:
        verb, number = line.split()
        if verb == "add":
            nodes.append(cluster.add_node(num_cpus=int(number), **size))
            cluster.wait_for_nodes()
        else:
            cluster.remove_node(nodes[int(number)], allow_graceful=False)
        print("inrzoo: ok", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cpus", metavar="CPUS", type=int, nargs="+", help="cores of a node")
    _main(parser.parse_args().cpus)
