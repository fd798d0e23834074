"""Draws INRs from a generative model that `inrzoo train generate` trained, and writes them as a finished store.

The bits of a sample are a function of the checkpoint, the options and its number: noise comes from a stream of its own,
and products are those of whole groups of numbers, whatever count and blocks are.

Shape letters: N samples, B of a block, T snapshots (one), P parameters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import inrzoo
from inrzoo import manifest, stats
from inrzoo.builder.base import without_runtime
from inrzoo.builder.worker import environment, one_thread
from inrzoo.choices import Status
from inrzoo.coords import Axis
from inrzoo.errors import InrzooError
from inrzoo.extras import require
from inrzoo.fit import engine
from inrzoo.fit.frequencies import frequencies
from inrzoo.generation.redraw import redraw
from inrzoo.generation.run import GenerativeRun, read_run
from inrzoo.nearest import among
from inrzoo.store import Contents, Quality, Store, StoreInfo, create_store, open_store, publish_seed, write_block
from inrzoo.store.new_folder import new_folder
from inrzoo.store.recorded import GeneratedInfo, PartitionRows, RecordedManifest
from inrzoo.tasks.generative.diffusion import TIMES, require_schedulers

SPLITS = (("train", 0.8), ("validation", 0.1), ("test", 0.1))
"""Splits of the samples by their number, and shares of them."""
OnBlock = Callable[[int, int], None]
"""Called with the numbers of blocks written and of all blocks."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Which samples are drawn, as `inrzoo.generate` takes it.

    Attributes:
        count: number of samples.
        label: name of the class of all samples; None for all classes.
        seed: of the noise.
        steps: evaluations of the denoiser for each sample.
        guidance: weight of the class over no class; 1 is none.
    """

    count: int
    label: str | None = None
    seed: int = 0
    steps: int = 50
    guidance: float = 1.0


def generate(
    run: Path,
    out: Path,
    samples: Samples,
    *,
    overwrite: bool = False,
    on_block: OnBlock = lambda done, total: None,
) -> Store:
    """Write samples of a generative model as a store.

    Sample i is of class i modulo the number of classes; the first 80 % are the training split, the next 10 % the
    validation and the last the test split. PSNR and loss are NaN: there is no signal that a sample should be.

    Args:
        run: folder of a run of the task `generate`, for its best checkpoint, or a checkpoint.
        out: the new store, a folder. It is made whole or not at all.
        samples: what is drawn.
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
    count, label, steps, guidance = samples.count, samples.label, samples.steps, samples.guidance
    if count < 1:
        raise InrzooError(f"--count {count} is not allowed; it must be at least 1")
    if not 1 <= steps <= TIMES:
        raise InrzooError(f"--steps {steps} is not allowed; it must be from 1 to {TIMES}")
    if not guidance >= 0:
        raise InrzooError(f"--guidance {guidance:g} is not allowed; it must be at least 0")
    model = read_run(run)
    if label is not None and label not in model.label_names:
        raise InrzooError(f"--class {label} is not allowed{among(label, model.label_names)}")
    drawn = GeneratedInfo(
        sha256=model.sha256,
        task=model.checkpoint.task,
        conventions=model.checkpoint.conventions,
        identity=model.checkpoint.identity,
        steps=steps,
        guidance=guidance,
        seed=samples.seed,
        label=label,
    )
    with new_folder(out, "--out", overwrite, 2 * 4 * count * model.inr.layout.num_params) as place, one_thread():
        create_store(place, _contents(model, drawn, count))
        _write(model, drawn, open_store(place), on_block)
        publish_seed(place, 0)
        stats.run(open_store(place))
    return open_store(out)


def verify_samples(store: Store, run: Path, on_block: OnBlock = lambda done, total: None) -> tuple[list[str], str]:
    """Draw the samples of a store again; see `redraw`."""
    return redraw(store, run, environment_of_samples(), on_block)


def environment_of_samples() -> dict[str, str]:
    """What decides the bits of a sample besides the checkpoint and the options."""
    return {**environment("cpu", "reference", by_network=False), "diffusers": require_schedulers()}


def _contents(model: GenerativeRun, drawn: GeneratedInfo, count: int) -> Contents:
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
        "inr": without_runtime(means["inr"]),
        "coords": asdict(manifest.Coords(**means["coords"])),
        "values": values,
        "init": {"mode": "shared" if means["init.mode"] in ("random", "hypernet") else means["init.mode"]},
        "fit": {"engine": "generated", "sha256": drawn.sha256, "steps": drawn.steps, "guidance": drawn.guidance},
    }
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
        environment=environment_of_samples(),
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


def _write(model: GenerativeRun, drawn: GeneratedInfo, store: Store, on_block: OnBlock) -> None:
    """Draw and write every block."""
    blocks = store.blocks()
    on_block(0, len(blocks))
    for done, block in enumerate(blocks, start=1):
        weights_BTP = model.rows(store.partition.rows(block.index), drawn)[:, None]
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
