"""The machine that the benchmark runs on, and the CPU time that other processes take meanwhile."""

import os
import platform
import re
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from inrzoo.fit.compiled import compiler, compiler_version

INSTRUCTION_SETS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512vl", "avx512_bf16", "amx_tile")
STAT = Path("/proc/stat")


def cores() -> list[int]:
    """Numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def describe() -> dict[str, object]:
    """Processor, cores, instruction sets, torch and compiler."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    said = dict(re.findall(r"^([^\t:]+?)\s*: (.*)$", text, re.MULTILINE))
    flags = said.get("flags", "").split()
    return {
        "cpu": said.get("model name", platform.processor() or platform.machine()),
        "cpu_family": said.get("cpu family"),
        "cpu_model": said.get("model"),
        "cores": len(cores()),
        "instruction_sets": [name for name in INSTRUCTION_SETS if name in flags],
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "compiler": compiler_version(command) if (command := compiler()) else None,
    }


def in_a_line(machine: dict[str, object]) -> str:
    """The same for people."""
    family = f" (family {machine['cpu_family']}, model {machine['cpu_model']})" if machine["cpu_family"] else ""
    sets = machine["instruction_sets"]
    assert isinstance(sets, list)
    return (
        f"{machine['cpu']}{family}, {machine['cores']} core(s), {' '.join(sets) or platform.machine()}; "
        f"torch {machine['torch']}, {machine['torch_threads']} thread(s); {machine['compiler'] or 'no C++ compiler'}"
    )


def slug(machine: dict[str, object]) -> str:
    """Part of a file's name: `amd-epyc-4cores`."""
    words = re.sub(r"\(.*?\)|CPU|Processor|@.*", " ", str(machine["cpu"]))
    return f"{re.sub(r'[^a-z0-9]+', '-', words.lower()).strip('-')}-{machine['cores']}cores"


class OtherProcesses:
    """Cores' worth of CPU time that processes other than ours use of our cores, between `__init__` and `cores`.

    Time that the hypervisor gives to other machines counts too. The kernel counts in hundredths of a second a core.
    """

    def __init__(self, own_pids: Sequence[int] = ()) -> None:
        self._pids = [os.getpid(), *own_pids]
        self._began = (time.perf_counter(), self._busy(), self._own())

    def cores(self) -> float | None:
        """None where the kernel does not say."""
        began, busy, own = self._began
        busy_now, own_now = self._busy(), self._own()
        if busy is None or busy_now is None or own is None or own_now is None:
            return None
        return max(0.0, (busy_now - busy - (own_now - own)) / (time.perf_counter() - began))

    @staticmethod
    def _busy() -> float | None:
        """Seconds that our cores were not idle since they started."""
        if not STAT.exists():
            return None
        lines = (line.split() for line in STAT.read_text().splitlines() if re.match(r"cpu\d", line))
        ours = {f"cpu{core}" for core in cores()}
        # user nice system idle iowait irq softirq steal
        ticks = sum(sum(map(int, line[1:4])) + sum(map(int, line[6:9])) for line in lines if line[0] in ours)
        return ticks / os.sysconf("SC_CLK_TCK")

    def _own(self) -> float | None:
        """Seconds of CPU time that our processes took so far."""
        ticks = 0
        for pid in self._pids:
            try:
                # The name in the second field may hold blanks; what follows it does not.
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                return None
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")
