"""Draws INRs from a generative model that `inrzoo train generate` trained, and writes them as a finished store.

The bits of a sample are a function of the checkpoint, the options and its number: noise comes from a stream of its own,
and products are those of whole groups of numbers, whatever count and blocks are.

Shape letters: N samples, B of a block, G of a group, P parameters, F numbers of the noise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import inrzoo
from inrzoo import manifest, registry, stats
from inrzoo.builder.worker import environment, one_thread
from inrzoo.checkpoint import BEST, Checkpoint, read
from inrzoo.choices import Status
from inrzoo.coords import Axis
from inrzoo.errors import InrzooError
from inrzoo.extras import require
from inrzoo.fit import engine
from inrzoo.fit.frequencies import frequencies
from inrzoo.inrs import INR
from inrzoo.nearest import among
from inrzoo.seeding import Stream
from inrzoo.store import Contents, Quality, Store, StoreInfo, create_store, open_store, publish_seed, write_block
from inrzoo.store.new_folder import new_folder
from inrzoo.store.recorded import GeneratedInfo, PartitionRows, RecordedManifest
from inrzoo.tasks.generate import SAMPLER, Generate
from inrzoo.tasks.generative.diffusion import TIMES, require_schedulers
from inrzoo.tasks.generative.generator import Sampler
from inrzoo.tasks.training.state import load_module, part_of, task_table

GROUP = 64
"""Samples that are drawn together, with numbers that begin at a multiple of this."""
SPLITS = (("train", 0.8), ("validation", 0.1), ("test", 0.1))
"""Splits of the samples by their number, and shares of them."""
OnBlock = Callable[[int, int], None]
"""Called with the numbers of blocks written and of all blocks."""


def generate(
    run: Path,
    out: Path,
    *,
    count: int,
    label: str | None = None,
    seed: int = 0,
    steps: int = 50,
    guidance: float = 1.0,
    overwrite: bool = False,
    on_block: OnBlock = lambda done, total: None,
) -> Store:
    """Write samples of a generative model as a store.

    Sample i is of class i modulo the number of classes; the first 80 % are the training split, the next 10 % the
    validation and the last the test split. PSNR and loss are NaN: there is no signal that a sample should be.

    Args:
        run: folder of a run of the task `generate`, for its best checkpoint, or a checkpoint.
        out: the new store, a folder. It is made whole or not at all.
        count: number of samples.
        label: name of the class of all samples; None for all classes.
        seed: of the noise.
        steps: evaluations of the denoiser for each sample.
        guidance: weight of the class over no class; 1 is none.
        overwrite: whether to replace the store at `out`.
        on_block: called with the progress.

    Returns:
        The new store. The same arguments give the same bytes in the same environment.

    Raises:
        InrzooError: the checkpoint is of another task, or makes no INRs; an option is out of range, and the message
            names what is allowed; or `out` exists.
        MissingPackageError: diffusers, or dask, which computes the statistics, is not installed.
    """
    require("build", "generating a store", "dask")
    require_schedulers()
    if count < 1:
        raise InrzooError(f"--count {count} is not allowed; it must be at least 1")
    if not 1 <= steps <= TIMES:
        raise InrzooError(f"--steps {steps} is not allowed; it must be from 1 to {TIMES}")
    if not guidance >= 0:
        raise InrzooError(f"--guidance {guidance:g} is not allowed; it must be at least 0")
    model = _read(run)
    if label is not None and label not in model.label_names:
        raise InrzooError(f"--class {label} is not allowed{among(label, model.label_names)}")
    drawn = GeneratedInfo(
        sha256=model.sha256,
        task=model.checkpoint.task,
        conventions=model.checkpoint.conventions,
        identity=model.checkpoint.identity,
        steps=steps,
        guidance=guidance,
        seed=seed,
        label=label,
    )
    with new_folder(out, "--out", overwrite, 2 * 4 * count * model.inr.layout.num_params) as place, one_thread():
        create_store(place, _contents(model, drawn, count))
        _write(model, drawn, open_store(place), on_block)
        publish_seed(place, 0)
        stats.run(open_store(place))
    return open_store(out)


@dataclass(frozen=True)
class _Model:
    """A sampler, and what its checkpoint says of the INRs that it makes.

    Attributes:
        sampler: draws weights.
        inr: the family that they are of.
        checkpoint: where it was read from.
        sha256: hex, of that file.
        notes: what the checkpoint records of the training data.
    """

    sampler: Sampler
    inr: INR
    checkpoint: Checkpoint
    sha256: str
    notes: dict[str, Any] = field(repr=False)

    @property
    def label_names(self) -> list[str]:
        """Names of the classes."""
        return list(self.notes["classes"])

    def labels(self, numbers: range, label: str | None) -> list[int]:
        """Classes of samples by their number."""
        names = self.label_names
        return [number % len(names) if label is None else names.index(label) for number in numbers]

    def draw(self, group: int, drawn: GeneratedInfo) -> NDArray[np.float32]:
        """Weights (G, P) of a group of samples."""
        numbers = range(group * GROUP, (group + 1) * GROUP)
        streams = [Stream("generate", drawn.sha256, drawn.seed or 0, str(number)) for number in numbers]
        noise = np.stack([stream.normal(self.sampler.features) for stream in streams])
        label = torch.tensor(self.labels(numbers, drawn.label))
        with torch.inference_mode():
            vectors = self.sampler(torch.from_numpy(noise).float(), label, drawn.steps, drawn.guidance)
        weights_GP: NDArray[np.float32] = vectors.numpy()
        return weights_GP


def _read(run: Path) -> _Model:
    """Read the sampler of a run. Raises InrzooError."""
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
    return _Model(sampler.eval(), inr, checkpoint, hashlib.sha256(file.read_bytes()).hexdigest(), notes)


def _contents(model: _Model, drawn: GeneratedInfo, count: int) -> Contents:
    """Return everything of the store but its INRs."""
    notes, means = model.notes, model.checkpoint.conventions
    values = dict(notes["values"])
    low_high = list(values["range"])
    limits_N2 = None
    if values["scale"] != "dtype":  # limits were those of signals
        values |= {"dtype": "float32", "scale": "dataset", "limits": low_high, "symmetric": False}
        limits_N2 = np.tile(np.array(low_high, dtype=np.float64), (count, 1))
    title = notes.get("title") or notes["dataset"]
    tables: dict[str, Any] = {
        "name": f"{notes['dataset']}_generated",
        "title": f"INRs generated after: {title}",
        "licence": notes.get("licence", "unknown"),
        "citation": "",
        "redistributable": False,
        "preset": None,
        "seeds": 1,
        "limit": None,
        "source": {"name": "generated"},
        "inr": {key: value for key, value in means["inr"].items() if key not in manifest.RUNTIME_FIELDS},
        "coords": manifest.Coords(**means["coords"]),
        "values": values,
        "init": {"mode": "shared" if means["init.mode"] in ("random", "hypernet") else means["init.mode"]},
        "fit": {"engine": "generated", "sha256": drawn.sha256, "steps": drawn.steps, "guidance": drawn.guidance},
    }
    tables["coords"] = asdict(tables["coords"])
    ids = [f"{drawn.label or 'all'}/{drawn.seed}/{number:07d}" for number in range(count)]
    digest = hashlib.sha256(json.dumps([asdict(drawn), count], sort_keys=True).encode()).hexdigest()
    info = StoreInfo(
        dataset=tables["name"],
        manifest=RecordedManifest.from_tables(tables),
        fingerprint=manifest.fingerprint(tables, digest),
        signals_sha256=digest,
        inr={**means["inr"], **asdict(model.inr)},
        layout=model.inr.layout,
        formula=model.inr.formula(),
        grid=tuple(notes["grid"]),
        axes=tuple(Axis(**axis) for axis in notes["axes"]),
        label_columns=(notes["label"],),
        label_names={notes["label"]: tuple(model.label_names)},
        split_names=tuple(name for name, _ in SPLITS),
        snapshots=(0,),
        partition=PartitionRows.choose(count, model.inr.layout.num_params),
        environment=environment("cpu", "reference", by_network=False),
        version=inrzoo.__version__,
        generated=drawn,
    )
    return Contents(
        info=info,
        ids=ids,
        split=_splits(count),
        labels={notes["label"]: np.array(model.labels(range(count), drawn.label), dtype=np.int64)},
        # A store stages signals until it is complete; a zero for each sample stands for those that do not exist.
        signals_NKC=np.zeros((count, 1, 1), dtype=np.uint8),
        publish_signals=False,
        limits_N2=limits_N2,
        init_SP=model.sampler.init.numpy()[None],
    )


def _splits(count: int) -> NDArray[np.uint8]:
    """Return the split of each sample, (N,)."""
    shares: Sequence[float] = [share for _, share in SPLITS]
    ends = np.rint(np.cumsum(shares) * count).astype(np.int64)
    return np.searchsorted(ends, np.arange(count), side="right").astype(np.uint8)


def _write(model: _Model, drawn: GeneratedInfo, store: Store, on_block: OnBlock) -> None:
    """Draw and write every block."""
    group_of = lru_cache(maxsize=1)(lambda group: model.draw(group, drawn))
    blocks = store.blocks()
    on_block(0, len(blocks))
    for done, block in enumerate(blocks, start=1):
        rows = store.partition.rows(block.index)
        first, last = rows.start // GROUP, (rows.stop - 1) // GROUP
        parts = np.concatenate([group_of(group) for group in range(first, last + 1)])
        weights_BTP = parts[rows.start - first * GROUP : rows.stop - first * GROUP, None]
        write_block(store.path, block, store.info.codec.encode(weights_BTP), _quality(store, weights_BTP))
        on_block(done, len(blocks))


def _quality(store: Store, weights_BTP: NDArray[np.float32]) -> Quality:
    """What is known of samples without signals: whether they are finite, and their frequencies."""
    unknown_BT = np.full(weights_BTP.shape[:2], np.nan, dtype=np.float32)
    finite_B = np.isfinite(weights_BTP).all(axis=(1, 2))
    shares, bound = frequencies(
        store.inr,
        torch.from_numpy(np.ascontiguousarray(weights_BTP)),
        store.info.grid,
        **asdict(store.info.manifest.coords),
        evaluate=engine("reference").evaluate,
    )
    return Quality(
        psnr=unknown_BT,
        loss=unknown_BT,
        steps=np.zeros(unknown_BT.shape, dtype=np.int32),
        status=np.where(finite_B, int(Status.OK), int(Status.DIVERGED)).astype(np.uint8),
        out_of_band=shares.numpy().astype(np.float32),
        max_frequency=bound.numpy().astype(np.float32),
        exact=unknown_BT,
    )
