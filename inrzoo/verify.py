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

from inrzoo import manifest
from inrzoo.build import finish
from inrzoo.build.preparation import read_signals
from inrzoo.build.worker import elsewhere_than, fit_block, one_thread
from inrzoo.errors import InrzooError
from inrzoo.fit.batches import batch_size
from inrzoo.fit.metrics import mse
from inrzoo.fit.values import to_values
from inrzoo.store import Block, Location, Store, location, open_store, unpublish, write_block
from inrzoo.store.blocks import digest, read_record
from inrzoo.store.files import only_driver, sha256
from inrzoo.store.finalise import SEED_COLUMNS
from inrzoo.store.root import data_files, metadata_files

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
        bad_stats: the statistics have to be computed again.
        num_files, num_inrs: what was checked.
        part: what a store that was pulled in part holds, and of what; empty for a whole one.
        max_psnr_difference: dB, largest difference between a stored and a re-rendered PSNR below 60 dB.
    """

    problems: list[str] = field(default_factory=list)
    bad_blocks: dict[int, set[int]] = field(default_factory=dict)
    bad_stats: bool = False
    num_files: int = 0
    num_inrs: int = 0
    part: str = ""
    max_psnr_difference: float = 0.0

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
    findings = Findings()
    path = location(path)
    damaged = _damaged_files(path, findings)
    if any(name.endswith("zarr.json") for name in damaged):
        return findings  # nothing can be read through metadata that are not the recorded ones
    store = open_store(path)
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
    """Fit the damaged blocks again, exactly those, and publish the store anew.

    Raises:
        InrzooError: what is damaged cannot be made again from the store, or this machine is not of the kind that fitted
            it, so that the INRs would differ; nothing is changed then.
    """
    path = location(path)
    store = open_store(path)
    if not findings.bad_blocks and not findings.bad_stats:
        raise InrzooError(f"{path}: nothing that fitting again could repair; build the store anew with --overwrite")
    differing = elsewhere_than(store, device)
    if differing:
        raise InrzooError(f"{path} was fitted elsewhere ({'; '.join(differing)}); repair it there")
    absent = bool(findings.bad_blocks) and not store.has_signals
    signals_NKC = read_signals(store, source, lambda done, total: None) if absent else None
    with only_driver(path):
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


def _damaged_files(path: Location, findings: Findings) -> list[str]:
    """Files that are missing, surplus or not what was recorded; needs nothing but the root's attributes."""
    attributes = open_store(path).attributes
    recorded, complete = attributes["checksums"], attributes["complete"]
    there = {*data_files(path), *(metadata_files(path) if complete else [])}
    expected = {name for name in recorded if complete or not name.endswith("zarr.json")}
    wrong = dict.fromkeys(expected - there, "is missing")
    if complete:
        findings.problems += [f"{name} is not part of the store" for name in sorted(there - recorded.keys())]
    present = sorted(there & recorded.keys())
    with ThreadPoolExecutor() as pool:
        for name, found in zip(present, pool.map(lambda name: sha256(path / name), present), strict=True):
            if found != recorded[name]:
                wrong[name] = f"has sha256 {found[:12]}…, recorded is {recorded[name][:12]}…"
    findings.num_files = len(present)
    findings.problems += [f"{name} {what}" for name, what in sorted(wrong.items())]
    return sorted(wrong)


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
    attributes = store.attributes
    expected = manifest.fingerprint(attributes["manifest"], attributes["signals_sha256"])
    if attributes["fingerprint"] != expected:
        findings.problems.append(f"fingerprint is {attributes['fingerprint']}, the recorded manifest gives {expected}")
    start = attributes["manifest"].get("init", {})
    if start.get("mode") == "hypernet" and hashlib.sha256(store.fitter or b"").hexdigest() != start["sha256"]:
        findings.problems.append("the hypernetwork in the store is not the one that is recorded")
    if store.inr.layout != store.layout:
        findings.problems.append("the recorded layout is not that of the recorded INR")
    if not store.complete:
        total = store.num_signals * store.num_seeds
        missing = sum(store.num_rows(block) for block in store.wanted_blocks() if not store.is_done(block))
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
        if block.seed in store.attributes["published_seeds"] or not store.is_done(block):
            continue
        weights = store.weights.block(block)
        try:
            whole = weights is not None and np.array_equal(digest(weights), read_record(store.path, block).sha256)
        except InrzooError:
            whole = False
        if not whole:
            findings.damage(block, f"block {block.index} of seed {block.seed} is not what its record says")


def _check_psnr(store: Store, findings: Findings, source: Path | None, on_block: OnBlock) -> None:
    if not store.has_signals and "imported" in store.attributes:
        return  # nothing to render against; weights, checksums and metadata were checked
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
