"""A trained encoder by itself: weights of INRs come in as they were fitted, features go out.

It is made from a checkpoint, or from two files: `model.safetensors` holds its tensors, `config.json` says which encoder
they are of, how its inputs are prepared, and which INRs it was trained on.

Shape letters: B INRs, P parameters, F features.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from inrzoo import registry
from inrzoo.addresses import open_store
from inrzoo.checkpoint import Checkpoint
from inrzoo.differences import differences
from inrzoo.encoders import Domain, Encoder
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.loaders.compatibility import weight_conventions
from inrzoo.manifest import Coords
from inrzoo.store import Store
from inrzoo.tasks.evaluation import require_alike, restored
from inrzoo.tasks.training.state import load_module, part_of, plain
from inrzoo.tasks.weight_tasks import ENCODING_TASKS, Statistics, WeightTask, encoded
from inrzoo.typecheck import check_type

FORMAT = 1
"""The format of `config.json`; other formats are refused."""
MAX_POINTS = 2**26
"""Maximum number of points of a grid that is believed."""
CONFIG, TENSORS = "config.json", "model.safetensors"


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """What `config.json` records.

    Attributes:
        library: `inrzoo`.
        format: version of this table.
        encoder: name of the encoder, and its arguments.
        inputs: whether it reads weights, or canonical weights.
        conventions: of the INRs that it was trained on, as the tasks compare them: INR, layout, coordinates, values.
        notes: further facts about these INRs; `grid` are the points of the signals' grid along each axis.
        task: name and fields of the task that trained it.
        identity: which data it was trained on.
        store: the name and the URL of the store on the Hub that it was trained on; empty for another one.
        step: step of the checkpoint.
        measured: numbers of the validation split at that step.
    """

    library: Literal["inrzoo"] = "inrzoo"
    format: int = FORMAT
    encoder: dict[str, Any]
    inputs: Literal["weights", "canonical"] = "weights"
    conventions: dict[str, Any]
    notes: dict[str, Any] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    store: dict[str, Any] = field(default_factory=dict)
    step: int = 0
    measured: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint, task: WeightTask, measured: Mapping[str, float]) -> Self:
        """Return the table of a checkpoint of a task."""
        progress = checkpoint.progress
        return cls(
            encoder=plain(task.encoder),
            inputs=task.inputs,
            conventions=checkpoint.conventions,
            notes=progress.get("notes") or {},
            task=plain(task.to_json()),
            identity=checkpoint.identity,
            store=progress.get("store") or {},
            step=progress["best_step"],
            measured=dict(measured),
        )

    @classmethod
    def from_json(cls, content: bytes, where: str) -> Self:
        """Read and check a file.

        Raises:
            InrzooError: it is not a table of this format.
        """
        from typing import get_type_hints

        try:
            table = check_type("config", json.loads(content), dict[str, Any])
            if table.get("library") != "inrzoo":
                raise InrzooError("it is not of an encoder of inrzoo")
            if table.get("format") != FORMAT:
                raise InrzooError(f"format = {table.get('format')!r}; this version reads {FORMAT}")
            hints = get_type_hints(cls)
            known = {key: check_type(key, table[key], hint) for key, hint in hints.items() if key in table}
            return cls(**known)
        except (ValueError, RecursionError, TypeError, InrzooError) as error:
            raise InrzooError(f"{CONFIG} of {where} is damaged: {' '.join(str(error).split())[:300]}") from None

    def to_json(self) -> bytes:
        """Return the content of the file."""
        return (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode()


class TrainedEncoder(nn.Module):
    """An encoder with the statistics of its inputs, as one module in evaluation mode.

    Args:
        config: what it is.
        state: its tensors by name.
        where: its place, for messages.

    Attributes:
        layout: layout of the weights that it reads.
        inr: the family of the INRs, `values = inr(weights, coords)`.
        out_features: F.

    Raises:
        InrzooError: the encoder is unknown or not trusted, or tensors and table contradict each other.

    Example:
        >>> run = inrzoo.train("classify", "digits.zarr", out="run", quiet=True, encoder="flat_mlp", steps=4)
        >>> encoder = inrzoo.load_encoder(run.folder)
        >>> encoder.layout.num_params, encoder.out_features
        (105, 64)
    """

    def __init__(self, config: EncoderConfig, state: Mapping[str, Tensor], where: str) -> None:
        super().__init__()
        self.config, self.where = config, where
        self.inr = _inr(config, where)
        self.layout, domain = self.inr.layout, _domain(config, where)
        try:
            with torch.device("meta"):  # without memory: a table may ask for any size
                planned = registry.make("encoders", config.encoder, layout=self.layout, inr=self.inr, domain=domain)
            _require_shapes(planned, part_of(state, "encoder."), where)
            self.encoder: Encoder = registry.make(
                "encoders", config.encoder, layout=self.layout, inr=self.inr, domain=domain
            )
        except (RuntimeError, TypeError, ValueError, MemoryError) as error:
            raise InrzooError(f"{where}: its encoder cannot be made: {' '.join(str(error).split())[:300]}") from None
        self.inputs = Statistics(self.layout.num_params)
        self.out_features: int = self.encoder.out_features
        load_module(self, state)
        self.requires_grad_(False)
        self.eval()

    def forward(self, weights: Tensor) -> Tensor:
        """Return features (B, F), float32, of weights (B, P) as they were fitted, neither normalised nor canonical."""
        return encoded(weights, self.config.inputs, self.inr, self.inputs, self.encoder)

    def check(self, store: Store | str | Path, *, force: bool = False) -> Self:
        """Check that the INRs of a store mean what those of the training meant, and were fitted in the same way.

        Args:
            store: a store, its folder, its URL, or its name on the Hub.
            force: whether to go on, with a warning, if the INRs were fitted with other settings.

        Returns:
            The encoder.

        Raises:
            InrzooError: conventions differ, or without `force` the fits; all differences are named.
        """
        opened = store if isinstance(store, Store) else open_store(store)
        require_alike(self.config.conventions, weight_conventions(opened), opened.location, force=force)
        return self

    def files(self) -> dict[str, bytes]:
        """Return the files of the encoder by name."""
        from safetensors.torch import save

        tensors = {
            name: tensor.detach().cpu().contiguous().clone() for name, tensor in sorted(self.state_dict().items())
        }
        return {CONFIG: self.config.to_json(), TENSORS: save(tensors, {"format": "pt"})}


def encoder_of(checkpoint: Checkpoint, where: str, measured: Mapping[str, float] | None = None) -> TrainedEncoder:
    """Return the encoder in a checkpoint.

    Args:
        checkpoint: of a task that trains an encoder of weights.
        where: its place, for messages.
        measured: numbers of the validation split, to be recorded.

    Raises:
        InrzooError: it is a checkpoint of another task.
    """
    task = restored(checkpoint, {})
    if not isinstance(task, WeightTask):
        name = checkpoint.task["name"]
        raise InrzooError(f"{where} is a run of {name}, which trains no encoder of weights; {ENCODING_TASKS} do")
    config = EncoderConfig.of_checkpoint(checkpoint, task, measured or {})
    return TrainedEncoder(config, task.encoder_state(checkpoint.module), where)


def encoder_from_files(config: bytes, tensors: bytes, where: str) -> TrainedEncoder:
    """Return the encoder in the files that `TrainedEncoder.files` made.

    Raises:
        InrzooError: a file is damaged, or the encoder is unknown or not trusted.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        state = load(tensors)
    except (SafetensorError, ValueError, KeyError) as error:
        raise InrzooError(f"{TENSORS} of {where} is damaged: {' '.join(str(error).split())[:300]}") from None
    return TrainedEncoder(EncoderConfig.from_json(config, where), state, where)


def _require_shapes(planned: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Raise InrzooError unless a network has the tensors of a state."""
    ours = {name: list(tensor.shape) for name, tensor in planned.state_dict().items()}
    theirs = {name: list(tensor.shape) for name, tensor in state.items()}
    if differing := differences(ours, theirs):
        raise InrzooError(f"{where}: its tensors are not those of its encoder: {'; '.join(differing[:3])}")


def _inr(config: EncoderConfig, where: str) -> INR:
    conventions = config.conventions
    try:
        inr: INR = registry.make("inrs", check_type("inr", conventions.get("inr"), dict[str, Any]))
    except (RuntimeError, TypeError, ValueError, MemoryError) as error:
        raise InrzooError(f"{where}: its INR cannot be made: {' '.join(str(error).split())[:300]}") from None
    ours = {tensor.name: f"{list(tensor.shape)} {list(tensor.axes)}" for tensor in inr.layout.tensors}
    if conventions.get("layout") != ours or conventions.get("order of the layout") != list(ours):
        raise InrzooError(f"{where}: the layout of its weights is not that of its INR; they were changed by hand")
    return inr


def _domain(config: EncoderConfig, where: str) -> Domain:
    """Return where the functions were fitted, as `inputs.domain_of` does for a store."""
    try:
        coords = Coords(**check_type("coords", config.conventions.get("coords"), dict[str, Any]))
    except TypeError as error:
        raise InrzooError(f"{where}: its coordinates are damaged: {error}") from None
    if "grid" not in config.notes:
        if registry.find("encoders", str(config.encoder.get("name"))).reads == "function":
            raise InrzooError(f"{where} is a run of an earlier version, which did not record the grid; train it again")
        return Domain(extent=coords.extent)
    sizes = tuple(check_type("grid", config.notes["grid"], list[int]))
    if not sizes:
        return Domain(extent=coords.extent)
    if min(sizes) < 1 or math.prod(sizes) > MAX_POINTS:
        raise InrzooError(f"{where}: a grid of {sizes} is not allowed; expected at most {MAX_POINTS:,} points")
    return Domain(extent=coords.extent, sizes=sizes, coords=torch.from_numpy(coords.grid(sizes)))
