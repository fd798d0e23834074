"""Verifies and repairs stores: checks every checksum, renders every INR, fits damaged blocks again.

Shape letters: B INRs of a block, N signals, S seeds, T snapshots, P parameters.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inrzoo import manifest
from inrzoo.builder import finish
from inrzoo.builder.preparation import read_signals
from inrzoo.builder.worker import environment_differences, fit_block, one_thread
from inrzoo.comparisons import comparisons
from inrzoo.errors import InrzooError
from inrzoo.extras import require
from inrzoo.fit.loop import evaluate
from inrzoo.fit.losses import LOSSES
from inrzoo.store import Block, Location, Store, location, only_writer, open_store, unpublish, write_block
from inrzoo.store.blocks import digest, read_record
from inrzoo.store.finalise import is_seed_column
from inrzoo.store.intact import strays, wrong_files, wrong_root
from inrzoo.store.names import BASE, is_metadata
from inrzoo.store.objects import is_object_url
from inrzoo.store.root import change_info
from inrzoo.store.store_cache import is_url
from inrzoo.targets import Targets

OnBlock = Callable[[int, int], None]
"""Called with the numbers of INRs verified and of all INRs."""

RMS_RELATIVE, RMS_ABSOLUTE = 2e-3, 2e-6
"""Tolerances of a rendered root-mean-square error: relative to the stored one, and relative to the value range. float32
rounding on another machine changes an error of 60 dB by about 1e-4 of itself, one of 100 dB by more."""
ATTEMPTS = 3
"""Maximum number of verifications of a store that another process changes."""


@dataclass
class Findings:
    """The problems of a store; it is intact if there are none.

    Attributes:
        problems: one line for each problem.
        bad_blocks: damaged blocks of each seed, which `repair` fits again.
        bad_stats: whether the statistics have to be computed again.
        interrupted: whether a repair was interrupted, which `repair` continues.
        root: bytes of the store's root at the time of the verification.
        num_files, num_inrs: numbers of verified files and INRs.
        unchecked: reason why INRs were not rendered; empty if they were.
        part: content of a store that was pulled in part; empty for a complete one.
        max_psnr_difference: maximum difference in dB between a stored and a rendered PSNR below 60 dB.
    """

    problems: list[str] = field(default_factory=list)
    bad_blocks: dict[int, set[int]] = field(default_factory=dict)
    bad_stats: bool = False
    interrupted: bool = False
    root: bytes = b""
    num_files: int = 0
    num_inrs: int = 0
    unchecked: str = ""
    part: str = ""
    max_psnr_difference: float = 0.0

    @property
    def repairable(self) -> bool:
        """True if `repair` can fix problems."""
        return bool(self.bad_blocks) or self.bad_stats or self.interrupted

    def damage(self, block: Block, problem: str) -> None:
        """Note a damaged block."""
        self.bad_blocks.setdefault(block.seed, set()).add(block.index)
        self.problems.append(problem)


def verify(path: str | Location, source: Path | None = None, on_block: OnBlock = lambda done, total: None) -> Findings:
    """Verify the files and INRs of a store.

    Args:
        path: the store, or its URL. A store in a bucket is verified there, others are fetched first.
        source: local files of the signals, for a store that does not hold them.
        on_block: called with the progress.

    Raises:
        InrzooError: there is no store, or its signals are not available.
    """
    path = _fetched(str(path)) if is_url(path) and not is_object_url(path) else location(path)
    for _ in range(ATTEMPTS):
        open_store(path)  # fails if there is none
        before = (path / "zarr.json").read_bytes()
        # Every change of a store begins with its root; if that has changed, problems may not be damage.
        try:
            findings = _verify(path, source, on_block)
        except (OSError, InrzooError):
            if before == (path / "zarr.json").read_bytes():
                raise
            continue
        if not findings.problems or before == (path / "zarr.json").read_bytes():
            findings.root = before
            return findings
    raise InrzooError(f"another process is writing to {path}; verify it when that process has ended")


def _fetched(url: str) -> Path:
    """Fetch a store that can only be read into the cache, whole, and again the files that are damaged there.

    Raises:
        InrzooError: there is no store, or a file of it does not arrive with its sha256.
    """
    store = open_store(url)
    assert store.cache is not None, "a store behind such a URL is complete"
    folder = store.cache.fetch_all()
    for name in wrong_files(folder, store.info):
        (folder / name).unlink(missing_ok=True)
        store.cache.fetch(name)
    return folder


def _verify(path: Location, source: Path | None, on_block: OnBlock) -> Findings:
    findings, store = Findings(), open_store(path)
    if problem := wrong_root(path, store.info):
        findings.problems.append(f"zarr.json {problem}")
    damaged = wrong_files(path, store.info)
    findings.num_files = len(store.info.checksums)
    findings.problems += [f"{name} is not part of the store" for name in strays(path, store.info)]
    findings.problems += [f"{name} {what}" for name, what in damaged.items()]
    if any(is_metadata(name) or name.startswith(f"{BASE}/") for name in damaged):
        return findings  # damaged metadata, or a damaged base, make everything unreadable
    for name in damaged:
        _blame(store, name, findings)
    _check_metadata(store, findings)
    if any(not name.startswith("weights/") for name in damaged):
        findings.problems.append("the INRs were not rendered: their stored errors or signals are damaged")
        return findings
    _check_blocks(store, findings)
    _check_psnr(store, findings, source, on_block)
    return findings


def repair(path: str | Location, findings: Findings, device: str = "cpu", source: Path | None = None) -> list[Block]:
    """Fit the damaged blocks again and publish the store. An interrupted repair is continued.

    Raises:
        InrzooError: the damage cannot be repaired, the environment is not that of the fits, or another process has
            changed the store; the store then stays unchanged.
        MissingPackageError: dask, which computes the statistics, is not installed.
    """
    require("build", "repairing a store", "dask")
    path = location(path)
    with only_writer(path):
        store = open_store(path)
        if findings.root and findings.root != (path / "zarr.json").read_bytes():
            raise InrzooError(f"another process has changed {path}; run the same command again")
        if not findings.repairable:
            raise InrzooError(f"{path}: new fits cannot repair this damage; build the store again with --overwrite")
        differing = environment_differences(store, device)
        if differing:
            raise InrzooError(f"{path} was fitted in another environment ({'; '.join(differing)}); repair it there")
        absent = bool(findings.bad_blocks) and not store.has_signals
        table = read_signals(store, source, lambda done, total: None) if absent else None
        damaged = [Block(seed, index) for seed, indices in findings.bad_blocks.items() for index in sorted(indices)]
        refitted = {}
        for block in damaged:
            rows = store.partition.rows(block.index)
            refitted[block] = fit_block(store, block, device, None if table is None else table.targets(rows))
        # Recorded before anything is removed, so that the same command can finish an interrupted repair.
        recorded = {0: [], **{seed: sorted(indices) for seed, indices in findings.bad_blocks.items()}}
        change_info(path, complete=False, repairing=recorded)
        for seed, indices in findings.bad_blocks.items():
            if seed in store.info.published_seeds:
                unpublish(path, seed, indices)
        for block, (weights_BTP, quality) in refitted.items():
            write_block(path, block, store.info.codec.encode(weights_BTP), quality)
        finish(path)
        if not open_store(path).complete:  # the store was incomplete before the damage
            change_info(path, repairing={})
    return damaged


def _blame(store: Store, name: str, findings: Findings) -> None:
    """Add the blocks or statistics that the damaged file `name` contains to the findings."""
    array, *key = name.split("/")
    if array == "weights":
        shard, seed = int(key[1]), int(key[2])
        members = [Block(seed, index) for index in store.partition.shard_blocks(shard)]
        bad = [block for block in members if not _block_is_whole(store, block)]
        # If only the shard's index is damaged, fitting one block rewrites the shard.
        for block in bad or members[:1]:
            rows = store.partition.rows(block.index)
            signals = f"signals {rows.start} to {rows.stop - 1}"
            findings.damage(block, f"{name}: block {block.index} of seed {seed} ({signals}) must be fitted again")
    elif is_seed_column(array):
        seed = int(key[2])
        findings.bad_blocks.setdefault(seed, set()).update(range(store.partition.num_blocks))
    elif array == "stats":
        findings.bad_stats = True


def _check_metadata(store: Store, findings: Findings) -> None:
    info = store.info
    expected = manifest.fingerprint(info.manifest.tables, info.signals_sha256)
    if info.fingerprint != expected:
        findings.problems.append(f"fingerprint is {info.fingerprint}, the recorded manifest gives {expected}")
    findings.interrupted = not store.complete and bool(info.repairing)
    for seed, indices in info.repairing.items():
        for block in (Block(seed, index) for index in indices):
            if not store.is_done(block):
                findings.damage(block, f"block {block.index} of seed {seed} is missing: its repair was interrupted")
    by_network = info.manifest.init_mode == "hypernet"
    if by_network and hashlib.sha256(store.fitter or b"").hexdigest() != info.manifest.init.get("sha256"):
        findings.problems.append("the hypernetwork in the store is not the one that is recorded")
    if store.inr.layout != store.layout:
        findings.problems.append("the recorded layout is not that of the recorded INR")
    if info.formula is not None and not info.formula.agrees_with(store.inr.formula()):
        findings.problems.append("the recorded formula is not that of the recorded INR")
    if findings.interrupted:
        findings.problems.append("a repair was interrupted; inrzoo verify --repair continues it")
    elif not store.complete:
        total = store.num_signals * store.num_seeds
        missing = sum(store.num_rows(block) for block in store.expected_blocks() if not store.is_done(block))
        if store.partial:
            present = sum(store.num_rows(block) for block in store.blocks() if store.is_done(block))
            findings.part = f"{present} of {total} INRs, the shards of {', '.join(store.partial)}"
        if missing or not store.partial:
            further = "pull it again" if store.partial else "the same build command continues"
            findings.problems.append(f"incomplete: {missing} of {total} INRs are missing; {further}")


def _block_is_whole(store: Store, block: Block) -> bool:
    weights = store.weights.stored_block(block)
    recorded = store.block_sha256[block.index, block.seed]
    return weights is not None and hashlib.sha256(np.ascontiguousarray(weights).data).digest() == recorded.tobytes()


def _check_blocks(store: Store, findings: Findings) -> None:
    """Check the files of blocks that are not joined yet against their records."""
    for block in store.blocks():
        if block.seed in store.info.published_seeds or not store.is_done(block):
            continue
        weights = store.weights.stored_block(block)
        try:
            whole = weights is not None and np.array_equal(digest(weights), read_record(store.path, block).sha256)
        except InrzooError:
            whole = False
        if not whole:
            findings.damage(block, f"block {block.index} of seed {block.seed} does not match its record")


def _check_psnr(store: Store, findings: Findings, source: Path | None, on_block: OnBlock) -> None:
    if store.info.generated:
        findings.unchecked = (
            f"no INR was rendered: these are samples of {store.info.generated}, and no signal of theirs exists; "
            "--generator RUN draws them again"
        )
        return
    if not store.has_signals and store.info.imported:
        findings.unchecked = (
            "no INR was rendered: the store was imported without its signals; import it again with --dataset NAME "
            "--images PATH to have them checked"
        )
        return
    if not store.has_signals and store.info.gathered:
        findings.unchecked = (
            f"no INR was rendered: the store was gathered without its signals from {store.info.gathered}; verify those"
        )
        return
    table = None if store.has_signals else read_signals(store, source, lambda done, total: None)
    todo = [block for block in store.blocks() if store.is_done(block)]
    total = sum(map(store.num_rows, todo))
    on_block(0, total)
    for block in todo:
        if block.index in findings.bad_blocks.get(block.seed, ()):
            continue  # already reported
        rows = store.partition.rows(block.index)
        loss_BT, measures = rendered_quality(
            store, block, store.targets(rows) if table is None else table.targets(rows)
        )
        wrong = {"loss": (loss_BT, store.loss, _compare(store, loss_BT, store.loss[rows, block.seed], findings))}
        for name, rendered_BT in measures.items():
            stored_NST = store.measures[name]
            relative, absolute = store.observation.tolerance(name)
            alike_BT = np.isclose(rendered_BT, stored_NST[rows, block.seed], relative, absolute, equal_nan=True)
            wrong[name] = (rendered_BT, stored_NST, np.logical_not(alike_BT.all(axis=1)))
        for name, (rendered_BT, stored_NST, wrong_B) in wrong.items():
            for index in np.flatnonzero(wrong_B):
                findings.damage(
                    block,
                    f"signal {rows.start + index}, seed {block.seed}: rendered {name} {rendered_BT[index].tolist()}, "
                    f"stored {stored_NST[rows, block.seed][index].tolist()}",
                )
        findings.num_inrs += rows.stop - rows.start
        on_block(findings.num_inrs, total)


def rendered_quality(
    store: Store, block: Block, targets: Targets
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """Return the losses of a block's stored INRs, (B, T), and the measures of the observation by name, (B, T) each."""
    weights_BTP = torch.from_numpy(np.array(store.weights.block(block)))
    error, losses, measures = LOSSES[store.observation.loss_name], [], []
    with torch.inference_mode(), one_thread():
        for _, fitted, held_out in comparisons(store, targets, weights_BTP, evaluate):
            losses.append(error(fitted.values_BTKC, fitted.targets_BKC[:, None]).mean(dim=(-2, -1)))
            measures.append(store.observation.measure(fitted, held_out))
    names = store.info.observed_measures  # what rounding cost is known while the fitted weights are there
    return torch.cat(losses).numpy(), {name: torch.cat([part[name] for part in measures]).numpy() for name in names}


def _compare(store: Store, loss_BT: NDArray[Any], stored_BT: NDArray[Any], findings: Findings) -> NDArray[np.bool_]:
    low, high = store.value_range
    rendered, stored = np.sqrt(loss_BT.astype(np.float64)), np.sqrt(stored_BT.astype(np.float64))
    finite = np.isfinite(rendered) & np.isfinite(stored)
    with np.errstate(invalid="ignore", divide="ignore"):
        wrong = np.abs(rendered - stored) > RMS_RELATIVE * stored + RMS_ABSOLUTE * (high - low)
        ordinary = finite & (stored > 1e-3 * (high - low))
        difference = np.abs(20 * np.log10(rendered / stored))[ordinary]
    if difference.size:
        findings.max_psnr_difference = max(findings.max_psnr_difference, float(difference.max()))
    off: NDArray[np.bool_] = (finite & wrong) | (np.isfinite(rendered) != np.isfinite(stored))
    return np.asarray(off.any(axis=1), dtype=np.bool_)
