"""Is a store what it says it is? Checksums of every file, every INR rendered again, and what is broken repaired.

Shape letters: B INRs of a block, N signals, S seeds, T snapshots, P parameters.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inrzoo import fit, manifest
from inrzoo.build import finish
from inrzoo.build.prepare import read_signals
from inrzoo.build.worker import environment, fit_block, targets
from inrzoo.errors import InrzooError
from inrzoo.fit.loop import batch_size
from inrzoo.fit.metrics import mse
from inrzoo.store import Block, Store, open_store, unpublish, write_block
from inrzoo.store.files import only_driver, sha256
from inrzoo.store.finalise import block_in_shard, data_files, metadata_files

OnBlock = Callable[[int, int], None]
"""Called with (INRs checked, INRs in all)."""

RMS_RELATIVE, RMS_ABSOLUTE = 2e-3, 2e-6
"""How far a rendered root-mean-square error may be from the stored one: relative, and as a share of the value range.
float32 rounding of another machine moves an error of 60 dB by about 1e-4 of itself, one of 100 dB by more."""


@dataclass
class Findings:
    """What is wrong with a store. Empty lists mean that it is what it says it is.

    Attributes:
        problems: one line each.
        bad_blocks: seed -> blocks whose weights are damaged; `repair` fits exactly these again.
        num_files, num_inrs: what was checked.
        max_psnr_difference: dB, largest difference between a stored and a re-rendered PSNR below 60 dB.
    """

    problems: list[str] = field(default_factory=list)
    bad_blocks: dict[int, set[int]] = field(default_factory=dict)
    num_files: int = 0
    num_inrs: int = 0
    max_psnr_difference: float = 0.0

    def damage(self, block: Block, problem: str) -> None:
        """Note a damaged block."""
        self.bad_blocks.setdefault(block.seed, set()).add(block.index)
        self.problems.append(problem)


def verify(path: Path, source: Path | None = None, on_block: OnBlock = lambda done, total: None) -> Findings:
    """Check a store against itself.

    Args:
        path: the store.
        source: local files with the signals, for a store that does not hold them.
        on_block: progress.

    Raises:
        InrzooError: no store there; or its signals are nowhere to be had.
    """
    store = open_store(path)
    findings = Findings()
    _check_metadata(store, findings)
    _check_files(store, findings)
    _check_blocks(store, findings)
    _check_psnr(store, findings, source, on_block)
    return findings


def repair(path: Path, findings: Findings, device: str = "cpu", source: Path | None = None) -> list[Block]:
    """Fit the damaged blocks again, exactly those, and publish the store anew.

    Raises:
        InrzooError: what is damaged cannot be made again from the store, or this machine is not of the kind that fitted
            it, so that the INRs would differ; nothing is changed then.
    """
    store = open_store(path)
    if not findings.bad_blocks:
        raise InrzooError(f"{path}: nothing that fitting again could repair; build the store anew with --overwrite")
    differing = manifest.differences(store.attributes["environment"], environment(device))
    if differing:
        raise InrzooError(f"{path} was fitted elsewhere ({'; '.join(differing)}); repair it there")
    signals_NKC = None if store.has_signals else read_signals(store, source, lambda done, total: None)
    with only_driver(path / "_build" / "driver.lock"):
        damaged = [Block(seed, index) for seed, indices in findings.bad_blocks.items() for index in sorted(indices)]
        refitted = {}
        for block in damaged:
            given = None if signals_NKC is None else signals_NKC[store.partition.rows(block.index)]
            refitted[block] = fit_block(store, block, device, given)
        for seed, indices in findings.bad_blocks.items():
            if seed in store.attributes["published_seeds"]:
                unpublish(path, seed, indices)
        for block, (weights_BTP, quality) in refitted.items():
            write_block(path, block, weights_BTP, quality)
        finish(path)
    return damaged


def _check_metadata(store: Store, findings: Findings) -> None:
    attributes = store.attributes
    expected = manifest.fingerprint(attributes["manifest"], attributes["signals_sha256"])
    if attributes["fingerprint"] != expected:
        findings.problems.append(f"fingerprint is {attributes['fingerprint']}, the recorded manifest gives {expected}")
    if store.inr.layout != store.layout:
        findings.problems.append("the recorded layout is not that of the recorded INR")
    pending = int((store.status == fit.Status.PENDING).sum())
    if not store.complete:
        findings.problems.append(
            f"incomplete: {pending} of {store.status.size} INRs are missing; the same build command continues"
        )


def _check_files(store: Store, findings: Findings) -> None:
    recorded: dict[str, str] = store.attributes["checksums"]
    there = {*data_files(store.path), *(metadata_files(store.path) if store.complete else [])}
    for name in sorted(recorded.keys() - there):
        if not (name.endswith("zarr.json") and (store.path / name).exists()):
            _file_problem(store, findings, name, "is missing")
    if store.complete:
        findings.problems += [f"{name} is not part of the store" for name in sorted(there - recorded.keys())]
    present = sorted(there & recorded.keys())
    with ThreadPoolExecutor() as pool:
        for name, found in zip(present, pool.map(lambda name: sha256(store.path / name), present), strict=True):
            if found != recorded[name]:
                _file_problem(store, findings, name, f"has sha256 {found[:12]}…, recorded {recorded[name][:12]}…")
    findings.num_files = len(present)


def _file_problem(store: Store, findings: Findings, name: str, what: str) -> None:
    """Note a damaged file; in a shard of weights, find the blocks that are damaged."""
    parts = name.split("/")
    if parts[:2] != ["weights", "c"]:
        findings.problems.append(f"{name} {what}")
        return
    shard, seed = int(parts[2]), int(parts[3])
    members = [Block(seed, index) for index in store.partition.shard_blocks(shard)]
    bad = [block for block in members if not _block_is_whole(store, block)]
    for block in bad or members[:1]:  # only the shard's index is damaged: fitting one block writes it anew
        rows = store.partition.rows(block.index)
        findings.damage(
            block, f"{name} {what}: seed {seed}, block {block.index} (signals {rows.start} to {rows.stop - 1})"
        )


def _block_is_whole(store: Store, block: Block) -> bool:
    weights = block_in_shard(store.path, store.partition, block, store.weights.shape[2:])
    recorded = store.block_sha256[block.index, block.seed]
    return weights is not None and hashlib.sha256(np.ascontiguousarray(weights).data).digest() == recorded.tobytes()


def _check_blocks(store: Store, findings: Findings) -> None:
    """Blocks that wait for their shard: their files against their records."""
    from inrzoo.store.blocks import digest, read_record, read_weights

    for block in store.blocks():
        if block.seed in store.attributes["published_seeds"] or not store.is_done(block):
            continue
        rows = store.partition.rows(block.index)
        weights = read_weights(store.path, block, rows.stop - rows.start, len(store.snapshots))
        if not np.array_equal(digest(weights), read_record(store.path, block).sha256):
            findings.damage(block, f"block {block.index} of seed {block.seed} is not what its record says")


def _check_psnr(store: Store, findings: Findings, source: Path | None, on_block: OnBlock) -> None:
    signals_NKC = None if store.has_signals else read_signals(store, source, lambda done, total: None)
    todo = [block for block in store.blocks() if store.is_done(block)]
    total = sum(store.partition.rows(block.index).stop - store.partition.rows(block.index).start for block in todo)
    torch.set_num_threads(1)
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
    weights_BTP = torch.from_numpy(store.weights[store.partition.rows(block.index), block.seed])
    coords_KD, values_BKC = torch.from_numpy(store.coords()), targets(signals_BKC, store.value_range)
    batch = batch_size(store.inr, len(coords_KD))
    losses = []
    with torch.inference_mode():
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
