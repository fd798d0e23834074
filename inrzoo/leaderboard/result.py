"""A row of the board, and the JSON file that holds it."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, get_type_hints

import torch

from inrzoo.addresses import REPOSITORY
from inrzoo.encoders import WeightModule
from inrzoo.errors import InrzooError
from inrzoo.store.files import write_atomically
from inrzoo.typecheck import check_type

FORMAT = 1
"""Version of the format of the file."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a network reaches in a benchmark task.

    Attributes:
        task: name of the benchmark task.
        content_sha256: of the store that was measured.
        measure: what was measured.
        encoder: name of the encoder, or of the decoder, and its arguments.
        reads: `weights`, or `function` for values of the INR.
        code_sha256: of the file that has the network's class.
        command: what makes this row again.
        seeds: training seeds.
        scores: the measure of each training seed, in percent.
        mean: of the scores.
        interval: half the width of the 95 % interval of the mean over training seeds (Student); None for one seed.
        inrs: number of INRs that were measured.
        training_inrs: number of INRs that were trained on.
        steps: optimiser steps.
        parameters: of the network.
        multiply_adds: of the network for one INR: matrix products and convolutions; sines are not counted.
        cpu_seconds: processor time of each training.
        environment: versions of inrzoo, torch and Python, and the processor.
        model: `USER/NAME` of the encoder on the Hub; None if it is not there.
        mse: for `error removed`, the mean squared error of each training seed, of values in [0, 1]; None for others.
    """

    task: str
    content_sha256: str
    measure: str
    encoder: dict[str, Any]
    reads: str
    code_sha256: str
    command: str
    seeds: list[int]
    scores: list[float]
    mean: float
    interval: float | None
    inrs: int
    training_inrs: int
    steps: int
    parameters: int
    multiply_adds: int
    cpu_seconds: list[float]
    environment: dict[str, str]
    model: str | None = None
    mse: list[float] | None = None

    @property
    def name(self) -> str:
        """Name of the network, with the arguments that are not its defaults: `function_probe, num_probes=256`."""
        arguments = [f"{key}={value}" for key, value in self.encoder.items() if key != "name"]
        return ", ".join([str(self.encoder["name"]), *arguments])

    @property
    def errors(self) -> str:
        """Mean of `mse` over training seeds, times 100 as the papers print it; empty for other measures."""
        return f"MSE × 100: {100 * sum(self.mse) / len(self.mse):.3f}" if self.mse else ""

    def write(self, path: Path) -> None:
        """Write the JSON file, replacing an older one in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps({"format": FORMAT, **asdict(self)}, indent=2) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> Result:
        """Read a JSON file.

        Raises:
            InrzooError: there is no such file, or it is no result.
        """
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
        except OSError:
            raise InrzooError(f"no result at {path}; inrzoo leaderboard run writes one") from None
        except ValueError as error:
            raise InrzooError(f"{path} is not valid JSON: {error}") from None
        if not isinstance(table, Mapping) or table.get("format") != FORMAT:
            raise InrzooError(f"{path} is no result of format {FORMAT}")
        hints = get_type_hints(cls)
        required = {each.name for each in fields(cls) if each.default is MISSING}
        if missing := sorted(required - table.keys()):
            raise InrzooError(f"{path} lacks {', '.join(missing)}")
        known = {key: check_type(f"{path.name}: {key}", table[key], hints[key]) for key in hints if key in table}
        if known.get("model") is not None and not REPOSITORY.fullmatch(known["model"]):
            raise InrzooError(f"{path.name}: model = {known['model']!r} is not allowed; expected USER/NAME on the Hub")
        return cls(**known)


def code_sha256(network: type[WeightModule]) -> str:
    """Return the sha256 (hex) of the file that has the class of a network."""
    file = inspect.getsourcefile(network)
    if file is None:
        raise InrzooError(f"the source of {network.__qualname__} is not to be found; put the class into a file")
    return sha256(Path(file).read_bytes()).hexdigest()


def multiply_adds(network: WeightModule) -> int:
    """Return the multiply-adds of a network for one INR: matrix products and convolutions, counted by torch."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    parameter = next(network.parameters(), torch.zeros(1))
    weights = torch.zeros(2, network.layout.num_params, device=parameter.device, requires_grad=True)
    # Torch's counter misses what it computes in one step: a layer of a transformer, unless gradients are wanted, and
    # attention on a CPU, unless by matrix products. Without gradients it fails on views of parameters, too.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(weights)
    return int(counter.get_total_flops()) // 4  # of two INRs; a multiply-add is two operations


def environment(device: str) -> dict[str, str]:
    """Return the versions and the processor that a row was made with."""
    from inrzoo import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    return {"inrzoo": __version__, "torch": torch.__version__, "python": python, "device": device}
