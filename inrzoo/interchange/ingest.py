"""Imports INRs that others fitted into a store.

Shape letters: N signals, S seeds, T snapshots (one), B signals of a block, P parameters of one INR.
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypedDict, Unpack

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
from inrzoo.interchange.describe import grid_of, ids_of, info_of, labels_of
from inrzoo.interchange.images import Images, quality
from inrzoo.interchange.incoming import IncomingSet, OnFile, Options
from inrzoo.interchange.recognise import read_set
from inrzoo.interchange.state_dict_conventions import IMPORTABLE, convention_called
from inrzoo.interchange.state_dict_set import read_folder
from inrzoo.store import (
    Block,
    Contents,
    Quality,
    Store,
    create_store,
    only_writer,
    open_store,
    publish_seed,
    write_block,
)
from inrzoo.store.files import free_bytes
from inrzoo.store.info import StoreInfo


def import_inrs(
    source: Path,
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
    root: str | None = None,
    base: Path | None = None,
    description: Path | None = None,
    pattern: str | None = None,
    splits: Path | None = None,
    per_seed: int | None = None,
    on_file: OnFile = lambda done, total: None,
    read: Callable[[Path, Options], IncomingSet] = read_set,
) -> Path:
    """Import a published set of INRs into a complete store, which is created whole or not at all.

    Whose set it is follows from the content of its files; if several kinds fit, the import fails and names the option
    that decides. Architectures are inferred from the first file and checked for every file. Settings that the files
    lack (ω₀, offset, grid, value range) are those of the convention, unless they are passed; the attribute `imported`
    records the source of every setting. Several fits of one signal become its seeds; a missing fit stays pending.
    Without images PSNR and loss are NaN. An unknown step count is 0.

    Layouts: docs/derivations/published_sets.md#who-writes-what.

    Args:
        source: a folder, or functa's file of modulations.
        out: the new store.
        convention: whose files they are: a name in `inrzoo.interchange.recognise.KINDS`; None to recognise them.
        dataset: manifest of the fitted images; PSNRs are then computed, and the images stored if their licence allows.
        images: local files of that dataset.
        grid: size of an image, if neither the files nor `dataset` contain it.
        split_points: numbers of the first validation and the first test signal, where numbers decide the splits.
        name: name of the dataset; by default that of the export, the images or the folder.
        inr_settings: fields of the INR that the files lack or that differ, e.g. `{"omega_0": 20.0}`.
        coords: `spacing`, `axis_order`, `extent` or `range` (lowest and highest value) that differ from the convention.
        root: beginning of the paths in a list of files, which `source` stands for.
        base: functa's file of shared weights.
        description, pattern, splits: of plain folders, see `inrzoo.interchange.described_folder`.
        per_seed: number of signals of one seed in fit-a-nef's numbering, if it holds several seeds.
        on_file: called with the progress.
        read: lists the set; by default the files decide whose it is.

    Returns:
        `out`.

    Raises:
        InrzooError: the files (the message names the first that is wrong) or an option is wrong.
        MissingPackageError: dask, which computes the statistics, or h5py, for HDF5, is not installed.

    Example:
        >>> import_inrs(Path("/nowhere"), Path("a.zarr"))
        Traceback (most recent call last):
        inrzoo.errors.InrzooError: no folder or file /nowhere
    """
    options = Options(
        convention=convention,
        inr=inr_settings or {},
        coords=coords or {},
        split_points=split_points,
        root=root,
        base=base,
        description=description,
        pattern=pattern,
        splits=splits,
        per_seed=per_seed,
    )
    _require_ready(out, dataset, images)
    return _import(read(source, options), out, dataset, images, grid, name, on_file)


class StateDictOptions(TypedDict, total=False):
    """Keywords of `import_inrs` that folders of state dicts have, too."""

    dataset: str | None
    images: Path | None
    grid: tuple[int, ...] | None
    split_points: tuple[int, ...] | None
    name: str | None
    inr_settings: dict[str, Any] | None
    coords: dict[str, Any] | None
    root: str | None
    on_file: OnFile


def import_state_dicts(
    folder: Path,
    out: Path,
    convention: str | None = None,
    **options: Unpack[StateDictOptions],
) -> Path:
    """Import a folder with one `.pth` per INR, as DWSNets, NFN and vsitzmann/siren lay it out; see `import_inrs`.

    Args:
        folder: a folder with a `*splits.json`, or with nfn's folders of classes.
        out: the new store.
        convention: `dws`, `implicit_zoo`, `nfn` or `sitzmann`; if None, derived from the key names.
        options: see `import_inrs`.

    Returns:
        `out`.

    Raises:
        InrzooError: the folder, a file (the message names the first) or an option is wrong.
        MissingPackageError: dask, which computes the statistics, is not installed.
    """
    if convention is not None:
        convention_called(convention, IMPORTABLE)
    return import_inrs(folder, out, convention, read=read_folder, **options)


def _require_ready(out: Path, dataset: str | None, images: Path | None) -> None:
    require("build", "importing a folder", "dask")
    _require_absent(out)
    if images is not None and dataset is None:
        raise InrzooError(f"--images {images} needs --dataset NAME, the dataset of these files")


def _import(
    incoming: IncomingSet,
    out: Path,
    dataset: str | None,
    images: Path | None,
    grid: tuple[int, ...] | None,
    name: str | None,
    on_file: OnFile,
) -> Path:
    inr: INR = registry.make("inrs", incoming.meaning.spec)
    matched = None if dataset is None else Images(dataset, images, incoming)
    sizes = grid_of(grid, incoming, matched, inr)
    _require_space(out, incoming, inr, matched)
    staging, partial = out.with_name(f".{out.name}.weights"), out.with_name(f".{out.name}.importing")
    with only_writer(out):
        _require_absent(out)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            shape = (len(incoming.fits.copies), len(incoming.names), inr.layout.num_params)
            weights_SNP = np.lib.format.open_memmap(staging, mode="w+", dtype=np.float32, shape=shape)
            digest = incoming.read(weights_SNP, on_file)
            info = info_of(incoming, inr, sizes, matched, digest, name)
            _write_store(partial, incoming, info, weights_SNP, matched)
            partial.rename(out)
        finally:
            staging.unlink(missing_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
    return out


def _require_absent(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise InrzooError(f"{out} exists; give another --out")


def _require_space(out: Path, incoming: IncomingSet, inr: INR, matched: Images | None) -> None:
    # The weights stay beside the store until it is complete; a seed's blocks stay until its shards are written.
    row = 4 * len(incoming.names) * inr.layout.num_params
    needed = row * (2 * len(incoming.fits.copies) + 1) + (0 if matched is None else matched.values_NKC.nbytes)
    if needed > free_bytes(out):
        raise InrzooError(f"{out} needs {decimal(needed)}, the disk has {decimal(free_bytes(out))} free")


def _write_store(
    path: Path,
    incoming: IncomingSet,
    info: StoreInfo,
    weights_SNP: NDArray[np.float32],
    matched: Images | None,
) -> None:
    # A store stages signals until it is complete; without images a zero for each signal replaces them.
    zeros_NKC = np.zeros((len(incoming.names), 1, 1), dtype=np.uint8)
    contents = Contents(
        info=info,
        ids=ids_of(incoming, matched),
        split=incoming.split,
        labels=labels_of(incoming, matched)[0],
        signals_NKC=zeros_NKC if matched is None else matched.values_NKC,
        publish_signals=bool(matched and matched.manifest.redistributable),
        limits_N2=None if matched is None else matched.table.limits_N2,
        numbers=incoming.numbers,
        base_Q=registry.make("inrs", info.inr).base_weights,
    )
    create_store(path, contents)
    store = open_store(path)
    for block in store.blocks():
        write_block(path, block, *_block(store, block, incoming, weights_SNP, matched))
    for seed in range(store.num_seeds):
        publish_seed(path, seed)
    stats.run(open_store(path))


def _block(
    store: Store,
    block: Block,
    incoming: IncomingSet,
    weights_SNP: NDArray[np.float32],
    matched: Images | None,
) -> tuple[NDArray[np.float32], Quality]:
    rows = store.partition.rows(block.index)
    weights_BP = np.array(weights_SNP[block.seed, rows])
    targets_BKC = None if matched is None else matched.table.values(rows)
    numbers_BKC = None if matched is None else matched.values_NKC[rows]
    measured = quality(store.inr, weights_BP, store.coords(), targets_BKC, numbers_BKC, store.value_range)
    psnr_B, loss_B, exact_B, status_B = measured
    status_B[~incoming.fits.present_SN[block.seed, rows]] = Status.PENDING
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
