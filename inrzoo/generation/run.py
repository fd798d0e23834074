"""A trained generative model, ready to draw: samples by their numbers.

Shape letters: G samples of a group, P parameters, F numbers of the noise.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inrzoo import registry
from inrzoo.checkpoint import BEST, Checkpoint, read
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.seeding import Stream
from inrzoo.store.recorded import GeneratedInfo
from inrzoo.tasks.generate import SAMPLER, Generate
from inrzoo.tasks.generative.generator import Sampler
from inrzoo.tasks.training.state import load_module, part_of, task_table

GROUP = 64
"""Samples that are drawn together, with numbers that begin at a multiple of this."""


@dataclass(frozen=True)
class GenerativeRun:
    """A sampler, and what its checkpoint says of the INRs that it makes.

    Attributes:
        sampler: draws weights.
        inr: the family that they are of.
        checkpoint: where it was read from.
        sha256: hex, of that file.
        notes: what the checkpoint says of the data that the model was trained on.
    """

    sampler: Sampler
    inr: INR
    checkpoint: Checkpoint
    sha256: str
    notes: dict[str, Any] = field(repr=False)
    _groups: dict[int, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    @property
    def label_names(self) -> list[str]:
        """Names of the classes."""
        return list(self.notes["classes"])

    def labels(self, numbers: range, label: str | None) -> list[int]:
        """Classes of samples by their number."""
        names = self.label_names
        return [number % len(names) if label is None else names.index(label) for number in numbers]

    def rows(self, numbers: slice, drawn: GeneratedInfo) -> NDArray[np.float32]:
        """Weights (·, P) of samples by their numbers; those of a group that is asked for again are remembered."""
        first, last = numbers.start // GROUP, (numbers.stop - 1) // GROUP
        for group in [group for group in self._groups if not first <= group <= last]:
            del self._groups[group]
        for group in range(first, last + 1):
            if group not in self._groups:
                self._groups[group] = self._draw(group, drawn)
        weights = np.concatenate([self._groups[group] for group in range(first, last + 1)])
        return weights[numbers.start - first * GROUP : numbers.stop - first * GROUP]

    def _draw(self, group: int, drawn: GeneratedInfo) -> NDArray[np.float32]:
        """Weights (G, P) of a group of samples."""
        numbers = range(group * GROUP, (group + 1) * GROUP)
        streams = [Stream("generate", drawn.sha256, drawn.seed or 0, str(number)) for number in numbers]
        noise = np.stack([stream.normal(self.sampler.features) for stream in streams])
        label = torch.tensor(self.labels(numbers, drawn.label))
        with torch.inference_mode():
            vectors = self.sampler(torch.from_numpy(noise).float(), label, drawn.steps, drawn.guidance)
        weights_GP: NDArray[np.float32] = vectors.numpy()
        return weights_GP


def read_run(run: Path) -> GenerativeRun:
    """Read the sampler of a run.

    Args:
        run: folder of a run, for its best checkpoint, or a checkpoint.

    Raises:
        InrzooError: the checkpoint is of another task, or makes no INRs.
    """
    file = run / BEST if run.is_dir() else run
    checkpoint = read(file)
    name = checkpoint.task["name"]
    if name != "generate":
        raise InrzooError(f"{run} is a checkpoint of the task {name}; inrzoo generate takes those of generate")
    task = registry.make("tasks", task_table(checkpoint))
    assert isinstance(task, Generate), "its name says so"
    if task.of != "weights":
        raise InrzooError(f"{run} learned {task.of}, which are no INRs; train it with --of weights")
    notes = checkpoint.progress.get("notes", {})
    if missing := {"label", "classes", "grid", "values", "dataset", "axes"} - notes.keys():
        raise InrzooError(f"{file} does not say of which INRs it is: it lacks {', '.join(sorted(missing))}")
    inr: INR = registry.make("inrs", checkpoint.conventions["inr"])
    sampler = task.sampler(inr.layout.num_params, len(notes["classes"]))
    load_module(sampler, part_of(checkpoint.module, SAMPLER))
    return GenerativeRun(sampler.eval(), inr, checkpoint, hashlib.sha256(file.read_bytes()).hexdigest(), notes)
