"""Is a store what it says it is? Checksums of every file, every INR rendered again, and what is broken repaired.

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
from inrzoo.errors import InrzooError
from inrzoo.fit.batches import batch_size
from inrzoo.fit.metrics import mse
from inrzoo.fit.values import to_values
from inrzoo.store import Block, Location, Store, location, only_writer, open_store, unpublish, write_block
from inrzoo.store.blocks import digest, read_record
from inrzoo.store.finalise import SEED_COLUMNS
from inrzoo.store.intact import strays, wrong_files, wrong_root
from inrzoo.store.names import is_metadata
from inrzoo.store.root import change_info

OnBlock = Callable[[int, int], None]
"""Called with (INRs checked, INRs in all)."""

RMS_RELATIVE, RMS_ABSOLUTE = 2e-3, 2e-6
"""How far a rendered root-mean-square error may be from the stored one: relative, and as a share of the value range.
float32 rounding of another machine moves an error of 60 dB by about 1e-4 of itself, one of 100 dB by more."""
ATTEMPTS = 3
"""How often a store that another process changes meanwhile is verified before verification gives up."""


@dataclass
class Findings:
    """What is wrong with a store. Nothing is wrong where all lists are empty.

    Attributes:
        problems: one line each.
        bad_blocks: seed -> blocks whose weights are damaged; `repair` fits exactly these again.
        bad_stats: the statistics have to be computed again.
        interrupted: a repair was interrupted; `repair` ends it.
        root: the bytes of the store's root that the findings are about.
        num_files, num_inrs: what was checked.
        unchecked: why INRs were not rendered; empty where they were.
        part: what a store that was pulled in part holds, and of what; empty for a whole one.
        max_psnr_difference: dB, largest difference between a stored and a re-rendered PSNR below 60 dB.
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
        """Whether `repair` can do something about the problems."""
        return bool(self.bad_blocks) or self.bad_stats or self.interrupted

    def damage(self, block: Block, problem: str) -> None:
        """Note a damaged block."""
        self.bad_blocks.setdefault(block.seed, set()).add(block.index)
        self.problems.append(problem)


def verify(path: str | Location, source: Path | None = None, on_block: OnBlock = lambda done, total: None) -> Findings:
    """Check a store against itself.

    Args:
        path: the store, or its URL: one in a bucket is checked there, another is fetched first.
        source: local files with the signals, for a store that does not hold them.
        on_block: progress.

    Raises:
        InrzooError: no store there; or its signals are nowhere to be had.
    """
    path = location(path)
    for _ in range(ATTEMPTS):
        open_store(path)  # says in one line that there is none
        before = (path / "zarr.json").read_bytes()
        # Every change of a store begins with its root: what looks damaged may only have changed meanwhile.
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


def _verify(path: Location, source: Path | None, on_block: OnBlock) -> Findings:
    findings, store = Findings(), open_store(path)
    if problem := wrong_root(path, store.info):
        findings.problems.append(f"zarr.json {problem}")
    damaged = wrong_files(path, store.info)
    findings.num_files = len(store.info.checksums)
    findings.problems += [f"{name} is not part of the store" for name in strays(path, store.info)]
    findings.problems += [f"{name} {what}" for name, what in damaged.items()]
    if any(map(is_metadata, damaged)):
        return findings  # nothing can be read through metadata that are not the recorded ones
    for name in damaged:
        _blame(store, name, findings)
    _check_metadata(store, findings)
    if any(not name.startswith("weights/") for name in damaged):
        findings.problems.append("the INRs were not rendered: what they would be compared with is damaged")
        return findings
    _check_blocks(store, findings)
    _check_psnr(store, findings, source, on_block)
    return findings


def repair(path: str | Location, findings: Findings, device: str = "cpu", source: Path | None = None) -> list[Block]:
    """Fit the damaged blocks again, exactly those, and publish the store anew. An interrupted repair is continued.

    Raises:
        InrzooError: what is damaged cannot be made again from the store, or this machine is not of the kind that fitted
            it, so that the INRs would differ, or another process has changed the store since; nothing is changed then.
    """
    path = location(path)
    with only_writer(path):
        store = open_store(path)
        if findings.root and findings.root != (path / "zarr.json").read_bytes():
            raise InrzooError(f"another process has changed {path} meanwhile; run the same command again")
        if not findings.repairable:
            raise InrzooError(f"{path}: nothing that fitting again could repair; build the store anew with --overwrite")
        differing = environment_differences(store, device)
        if differing:
            raise InrzooError(f"{path} was fitted elsewhere ({'; '.join(differing)}); repair it there")
        absent = bool(findings.bad_blocks) and not store.has_signals
        signals_NKC = read_signals(store, source, lambda done, total: None) if absent else None
        damaged = [Block(seed, index) for seed, indices in findings.bad_blocks.items() for index in sorted(indices)]
        refitted = {}
        for block in damaged:
            rows = store.partition.rows(block.index)
            refitted[block] = fit_block(store, block, device, None if signals_NKC is None else signals_NKC[rows])
        # Recorded before anything is taken away: so the same command knows what a killed one has not finished.
        recorded = {0: [], **{seed: sorted(indices) for seed, indices in findings.bad_blocks.items()}}
        change_info(path, complete=False, repairing=recorded)
        for seed, indices in findings.bad_blocks.items():
            if seed in store.info.published_seeds:
                unpublish(path, seed, indices)
        for block, (weights_BTP, quality) in refitted.items():
            write_block(path, block, weights_BTP, quality)
        finish(path)
        if not open_store(path).complete:  # its build was not finished before the repair either
            change_info(path, repairing={})
    return damaged


def _blame(store: Store, name: str, findings: Findings) -> None:
    """Note what would have to be made again because file `name` is damaged."""
    array, *key = name.split("/")
    if array == "weights":
        shard, seed = int(key[1]), int(key[2])
        members = [Block(seed, index) for index in store.partition.shard_blocks(shard)]
        bad = [block for block in members if not _block_is_whole(store, block)]
        # Where only the shard's index is damaged, fitting one block writes the shard anew.
        for block in bad or members[:1]:
            rows = store.partition.rows(block.index)
            signals = f"signals {rows.start} to {rows.stop - 1}"
            findings.damage(block, f"{name}: block {block.index} of seed {seed} ({signals}) has to be fitted again")
    elif array in SEED_COLUMNS:
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
    made = info.manifest.init_mode == "hypernet"
    if made and hashlib.sha256(store.fitter or b"").hexdigest() != store.settings.init.sha256:
        findings.problems.append("the hypernetwork in the store is not the one that is recorded")
    if store.inr.layout != store.layout:
        findings.problems.append("the recorded layout is not that of the recorded INR")
    if findings.interrupted:
        findings.problems.append("a repair was interrupted; inrzoo verify --repair continues it")
    elif not store.complete:
        total = store.num_signals * store.num_seeds
        missing = sum(store.num_rows(block) for block in store.expected_blocks() if not store.is_done(block))
        if store.partial:
            there = sum(store.num_rows(block) for block in store.blocks() if store.is_done(block))
            findings.part = f"{there} of {total} INRs, the shards of {', '.join(store.partial)}"
        if missing or not store.partial:
            further = "pull it again" if store.partial else "the same build command continues"
            findings.problems.append(f"incomplete: {missing} of {total} INRs are missing; {further}")


def _block_is_whole(store: Store, block: Block) -> bool:
    weights = store.weights.block(block)
    recorded = store.block_sha256[block.index, block.seed]
    return weights is not None and hashlib.sha256(np.ascontiguousarray(weights).data).digest() == recorded.tobytes()


def _check_blocks(store: Store, findings: Findings) -> None:
    """Blocks that wait for their shard: their files against their records."""
    for block in store.blocks():
        if block.seed in store.info.published_seeds or not store.is_done(block):
            continue
        weights = store.weights.block(block)
        try:
            whole = weights is not None and np.array_equal(digest(weights), read_record(store.path, block).sha256)
        except InrzooError:
            whole = False
        if not whole:
            findings.damage(block, f"block {block.index} of seed {block.seed} is not what its record says")


def _check_psnr(store: Store, findings: Findings, source: Path | None, on_block: OnBlock) -> None:
    if not store.has_signals and store.info.imported:
        findings.unchecked = (
            "no INR was rendered: the store was imported without its signals; import it again with --dataset NAME "
            "--images PATH to have them checked"
        )
        return
    signals_NKC = None if store.has_signals else read_signals(store, source, lambda done, total: None)
    todo = [block for block in store.blocks() if store.is_done(block)]
    total = sum(map(store.num_rows, todo))
    on_block(0, total)
    for block in todo:
        if block.index in findings.bad_blocks.get(block.seed, ()):
            continue  # reported already
        rows = store.partition.rows(block.index)
        signals_BKC = store.signals(rows) if signals_NKC is None else signals_NKC[rows]
        loss_BT = render_loss(store, block, signals_BKC)
        wrong = _compare(store, loss_BT, store.loss[rows, block.seed], findings)
        for index in np.flatnonzero(wrong):
            findings.damage(
                block,
                f"signal {rows.start + index}, seed {block.seed}: rendered loss {loss_BT[index].tolist()}, "
                f"stored {store.loss[rows, block.seed][index].tolist()}",
            )
        findings.num_inrs += rows.stop - rows.start
        on_block(findings.num_inrs, total)


def render_loss(store: Store, block: Block, signals_BKC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean squared errors of a block's INRs from the stored weights, (B, T): in the batches of the fit, so that on the
    machine that fitted them they agree to the bit.
    """
    weights_BTP = torch.from_numpy(np.array(store.weights.block(block)))
    coords_KD, values_BKC = torch.from_numpy(store.coords()), to_values(signals_BKC, store.value_range)
    batch = batch_size(store.inr, len(coords_KD))
    losses = []
    with torch.inference_mode(), one_thread():
        for step in range(weights_BTP.shape[1]):
            pairs = zip(weights_BTP[:, step].split(batch), values_BKC.split(batch), strict=True)
            losses.append(
                torch.cat([mse(store.inr(weights.contiguous(), coords_KD), values) for weights, values in pairs])
            )
    return torch.stack(losses, dim=1).numpy()


def _compare(store: Store, found_BT: NDArray[Any], stored_BT: NDArray[Any], findings: Findings) -> NDArray[np.bool_]:
    low, high = store.value_range
    found, stored = np.sqrt(found_BT.astype(np.float64)), np.sqrt(stored_BT.astype(np.float64))
    finite = np.isfinite(found) & np.isfinite(stored)
    with np.errstate(invalid="ignore", divide="ignore"):
        wrong = np.abs(found - stored) > RMS_RELATIVE * stored + RMS_ABSOLUTE * (high - low)
        ordinary = finite & (stored > 1e-3 * (high - low))
        difference = np.abs(20 * np.log10(found / stored))[ordinary]
    if difference.size:
        findings.max_psnr_difference = max(findings.max_psnr_difference, float(difference.max()))
    off: NDArray[np.bool_] = (finite & wrong) | (np.isfinite(found) != np.isfinite(stored))
    return np.asarray(off.any(axis=1), dtype=np.bool_)
