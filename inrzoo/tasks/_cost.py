"""What a run took, and on what: `run.json` in its folder, beside what it learned. No result depends on it."""

from __future__ import annotations

import json
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from inrzoo.errors import InrzooError
from inrzoo.store.files import write_atomically

COST = "run.json"


@dataclass(frozen=True)
class Cost:
    """Of a run, all its calls together.

    Attributes:
        seconds: wall-clock time of steps, validations and checkpoints; what was lost to a power cut is not in it.
        cpu_seconds: processor time of the same, of all threads, which a busy machine does not stretch.
        device: name of the GPU, or of the processor with the number of threads.
    """

    seconds: float
    cpu_seconds: float
    device: str

    @property
    def minutes(self) -> str:
        """For a table."""
        return f"{self.seconds / 60:.1f}"


def read_cost(folder: Path) -> Cost:
    """Of the run in a folder; no seconds where none is known.

    Raises:
        InrzooError: the file is damaged.
    """
    path = folder / COST
    if not path.exists():
        return Cost(0.0, 0.0, "")
    try:
        found = Cost(**json.loads(path.read_text()))
        return Cost(float(found.seconds), float(found.cpu_seconds), str(found.device))
    except (ValueError, TypeError):
        raise InrzooError(f"{path} is damaged; remove it: the time that training took is all it says") from None


def add_cost(folder: Path, seconds: float, cpu_seconds: float, device: torch.device) -> None:
    """Count a call: its seconds are added, its device is named last."""
    before = read_cost(folder)
    cost = Cost(before.seconds + seconds, before.cpu_seconds + cpu_seconds, device_name(device))
    write_atomically(folder / COST, (json.dumps(asdict(cost)) + "\n").encode())


def device_name(device: torch.device) -> str:
    """`NVIDIA H100 80GB HBM3`, or `AMD EPYC, 1 thread(s)`."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    path = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.*)$", path.read_text(), re.MULTILINE) if path.exists() else None
    name = found[1] if found else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} thread(s)"
