"""Imports a folder of state dicts into a store.

Shape letters: N signals, S seeds, T snapshots (one), B signals of a block, P parameters of one INR.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.filesize import decimal

from inrzoo import registry, stats
from inrzoo.choices import Status
from inrzoo.errors import InrzooError
from inrzoo.extras import require
from inrzoo.fit import engine
from inrzoo.fit.frequencies import frequencies
from inrzoo.inrs import INR
from inrzoo.interchange import folder as folders
from inrzoo.interchange import state_files
from inrzoo.interchange.describe import agreed, grid_of, ids_of, info_of, labels_of, require_described
from inrzoo.interchange.folder import Listing
from inrzoo.interchange.images import Images, quality
from inrzoo.interchange.reading import reading_of
from inrzoo.interchange.state_dict_conventions import IMPORTABLE, Convention, convention_called
from inrzoo.store import (
    Block,
    Contents,
    Quality,
    Store,
    create_store,
    open_store,
    publish_seed,
    write_block,
)
from inrzoo.store.files import free_bytes
from inrzoo.store.info import StoreInfo

OnFile = Callable[[int, int], None]
"""Called with the numbers of files read and of all files."""


def import_state_dicts(
    folder: Path,
    out: Path,
    convention: str | None = None,
    *,
    dataset: str | None = None,
    images: Path | None = None,
    grid: tuple[int, ...] | None = None,
    split_points: tuple[int, ...] | None = None,
    name: str | None = None,
    inr_settings: dict[str, Any] | None = None,
    coords: dict[str, Any] | None = None,
    on_file: OnFile = lambda done, total: None,
) -> Path:
    """Import a folder with one `.pth` per INR into a complete store, which is created whole or not at all.

    The architecture is inferred from the first file and checked for every file. Settings that the tensors lack (ω₀,
    offset, grid, value range) are those of the convention, unless they are passed. If several conventions fit and
    differ, the import fails instead of guessing; the attribute `imported` records the source of every setting. Several
    fits of one signal, numbered by file names, become its seeds; a missing fit stays pending. Without images PSNR and
    loss are NaN. An unknown step count is 0.

    Args:
        folder: a folder with a `*splits.json`, or with nfn's folders of classes.
        out: the new store.
        convention: `dws`, `implicit_zoo`, `nfn` or `sitzmann`; if None, derived from the key names.
        dataset: manifest of the fitted images; PSNRs are then computed, and the images stored if their licence allows.
        images: local files of that dataset.
        grid: size of an image, if neither `inrzoo.json` nor `dataset` contains it.
        split_points: see `folder.read`.
        name: name of the dataset; by default that of the export, the images or the folder.
        inr_settings: fields of the SIREN that differ from the convention, e.g. `{"omega_0": 20.0}`.
        coords: `spacing`, `axis_order`, `extent` or `range` (lowest and highest value) that differ from the convention.
        on_file: called with the progress.

    Returns:
        `out`.

    Raises:
        InrzooError: the folder, a file (the message names the first) or an option is wrong.
        MissingPackageError: dask, which computes the statistics, is not installed.
    """
    require("build", "importing a folder", "dask")
    if convention is not None:
        convention_called(convention, IMPORTABLE)
    if out.exists() or out.is_symlink():
        raise InrzooError(f"{out} exists; give another --out")
    if images is not None and dataset is None:
        raise InrzooError(f"--images {images} needs --dataset NAME, the dataset of these files")
    listing = folders.read(folder, split_points)
    require_described(listing)
    first = listing.signals[0].first
    tensors, _ = state_files.read((folder / first).read_bytes(), first)
    try:
        shapes = state_files.shapes_of(tensors)
        described = None if listing.sidecar is None else listing.sidecar.convention
        reading = reading_of(shapes, convention, described, inr_settings or {}, coords or {})
    except InrzooError as error:
        raise InrzooError(f"{first}: {error}") from None
    reading = agreed(reading, listing)
    inr: INR = registry.make("inrs", reading.spec)
    matched = None if dataset is None else Images(dataset, images, listing)
    sizes = grid_of(grid, listing, matched, inr)
    _require_space(out, listing, inr, matched)
    staging, partial = out.with_name(f".{out.name}.weights"), out.with_name(f".{out.name}.importing")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shape = (len(listing.copies), len(listing.signals), inr.layout.num_params)
        weights_SNP = np.lib.format.open_memmap(staging, mode="w+", dtype=np.float32, shape=shape)
        digest = _read_weights(listing, shapes, inr, reading.convention, weights_SNP, on_file)
        info = info_of(listing, reading, inr, sizes, matched, digest, name)
        _write_store(partial, listing, info, weights_SNP, matched)
        partial.rename(out)
    finally:
        staging.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
    return out


def _require_space(out: Path, listing: Listing, inr: INR, matched: Images | None) -> None:
    # The weights stay beside the store until it is complete; a seed's blocks stay until its shards are written.
    row = 4 * len(listing.signals) * inr.layout.num_params
    needed = row * (2 * len(listing.copies) + 1) + (0 if matched is None else matched.values_NKC.nbytes)
    if needed > free_bytes(out):
        raise InrzooError(f"{out} needs {decimal(needed)}, the disk has {decimal(free_bytes(out))} free")


def _read_weights(
    listing: Listing,
    shapes: dict[str, tuple[int, ...]],
    inr: INR,
    convention: Convention,
    weights_SNP: NDArray[np.float32],
    on_file: OnFile,
) -> str:
    """Fill `weights_SNP`, with NaN for missing files. Return the sha256 over the sha256 of every file, seed by seed."""
    total, done = sum(len(signal.files) for signal in listing.signals), 0
    digest = hashlib.sha256()
    on_file(0, total)
    for seed, copy in enumerate(listing.copies):
        for row, signal in enumerate(listing.signals):
            path = signal.files.get(copy)
            if path is None:
                weights_SNP[seed, row] = np.nan
                continue
            content = (listing.folder / path).read_bytes()
            digest.update(hashlib.sha256(content).digest())
            tensors, label = state_files.read(content, str(path))
            if label is not None and label != signal.label:
                raise InrzooError(f"{path} has label {label} inside, {signal.label} in the splits")
            try:
                weights_SNP[seed, row] = state_files.flat(tensors, shapes, inr.layout, convention)
            except InrzooError as error:
                raise InrzooError(f"{path}: {error}") from None
            done += 1
            on_file(done, total)
    return digest.hexdigest()


def _write_store(
    path: Path,
    listing: Listing,
    info: StoreInfo,
    weights_SNP: NDArray[np.float32],
    matched: Images | None,
) -> None:
    # A store stages signals until it is complete; without images a zero for each signal replaces them.
    zeros_NKC = np.zeros((len(listing.signals), 1, 1), dtype=np.uint8)
    contents = Contents(
        info=info,
        ids=ids_of(listing, matched),
        split=listing.split,
        labels=labels_of(listing, matched),
        signals_NKC=zeros_NKC if matched is None else matched.values_NKC,
        publish_signals=bool(matched and matched.manifest.redistributable),
    )
    create_store(path, contents)
    store = open_store(path)
    for block in store.blocks():
        write_block(path, block, *_block(store, block, listing, weights_SNP, matched))
    for seed in range(store.num_seeds):
        publish_seed(path, seed)
    stats.run(open_store(path))


def _block(
    store: Store,
    block: Block,
    listing: Listing,
    weights_SNP: NDArray[np.float32],
    matched: Images | None,
) -> tuple[NDArray[np.float32], Quality]:
    rows = store.partition.rows(block.index)
    weights_BP = np.array(weights_SNP[block.seed, rows])
    values_BKC = None if matched is None else matched.values_NKC[rows]
    psnr_B, loss_B, exact_B, status_B = quality(store.inr, weights_BP, store.coords(), values_BKC, store.value_range)
    copy = listing.copies[block.seed]
    status_B[[copy not in signal.files for signal in listing.signals[rows]]] = Status.PENDING
    steps_BT = np.full((len(weights_BP), 1), store.snapshots[0], dtype=np.int32)
    shares, bound = frequencies(
        store.inr,
        torch.from_numpy(weights_BP[:, None]),
        store.info.grid,
        **asdict(store.info.manifest.coords),
        evaluate=engine("reference").evaluate,
    )
    return weights_BP[:, None], Quality(
        psnr=psnr_B[:, None],
        loss=loss_B[:, None],
        steps=steps_BT,
        status=status_B,
        out_of_band=shares.numpy(),
        max_frequency=bound.numpy(),
        exact=exact_B[:, None],
    )
