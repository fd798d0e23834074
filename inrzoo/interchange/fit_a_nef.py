"""fit-a-nef's and Neural Field Arena's sets: HDF5 files `nefs_FIRST-END.hdf5` with one row a field, and `nef.json`.

From samuelepapa/fit-a-nef fit_a_nef/trainer.py, tasks/image/fit.py, config/utils.py, dataset/, and
samuelepapa/neural-field-arena neural_dataset/; see docs/derivations/published_sets.md#fit-a-nef.

Shape letters: N signals, S seeds, P parameters of one INR.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.interchange import flax_tensors, sidecar
from inrzoo.interchange.arena_settings import (
    CONVENTION,
    DATASETS,
    Published,
    dataset_name,
    meaning_of_fields,
    read_json,
)
from inrzoo.interchange.flax_tensors import ParamConfig
from inrzoo.interchange.hdf5 import Hdf5File
from inrzoo.interchange.incoming import UNLABELLED, Fits, ImageKey, IncomingSet, OnFile, Options
from inrzoo.interchange.sidecar import Sidecar
from inrzoo.store.files import sha256

SPLIT_NAMES = ["train", "validation", "test"]
SLAB_BYTES = 2**24
"""Bytes of weights that are read at once."""
MOST_FIELDS = 2**27
"""The highest number of a field."""
_FILE = re.compile(r".*?(?:^|_)(?P<first>\d{1,12})-(?P<end>\d{1,12})")


@dataclass(frozen=True)
class _File:
    """A file, the range of its fields in the numbering, and its labels."""

    path: Path
    first: int
    end: int
    labels: NDArray[np.int64] | None


def files_of(folder: Path) -> list[Path]:
    """Return the files of fields in a folder, by their names alone."""
    return sorted(path for path in folder.glob("*.hdf5") if _FILE.fullmatch(path.stem))


def read_folder(folder: Path, options: Options) -> IncomingSet:
    """List the fields of a folder.

    Raises:
        InrzooError: a file is damaged or differs from the first, or a setting is missing; the message names the option.
    """
    if folder.is_file():
        raise InrzooError(f"{folder} is one file of fit-a-nef; name the folder that has it")
    described, cfg = sidecar.read(folder), read_json(folder, "cfg.json")
    files, config = _listed(folder)
    where = files[0].path.name
    published = DATASETS.get(dataset_name(cfg))
    try:
        model = flax_tensors.model_of(config)
        meaning = meaning_of_fields(folder, model, config, published, described, options)
        inr: INR = registry.make("inrs", meaning.spec)
        positions = flax_tensors.positions(inr, model, config)
    except InrzooError as error:
        raise InrzooError(f"{folder / where}: {error}") from None
    total = max(file.end for file in files)
    if total > MOST_FIELDS:
        raise InrzooError(f"{files[-1].path} numbers its fields up to {total}; the maximum is {MOST_FIELDS}")
    count, seeds = _counts(folder, total, published, described, options)
    present_SN = np.zeros((seeds, count), dtype=bool)
    for file in files:
        present_SN.reshape(-1)[file.first : file.end] = True
    rows = np.flatnonzero(present_SN.any(axis=0))
    split, split_names = _split(folder, rows, published, described, options)
    order = np.argsort(split, kind="stable")
    rows, split = rows[order], split[order]
    labels, label_names = _labels(files, seeds * count, count, rows, described)
    ids = [str(row) for row in rows] if described is None else [described.signal_ids[row] for row in rows]
    keys: list[ImageKey] = [(None, int(row)) for row in rows] if described is None else [*ids]
    grid = described.grid if described else [*published.grid] if published else []
    return IncomingSet(
        source=folder,
        format="HDF5",
        convention=CONVENTION,
        meaning=meaning,
        names=[f"{folder.name} {row}" for row in rows],
        ids=ids,
        keys=keys,
        settled=described is not None,
        split=split,
        split_names=split_names,
        labels=labels,
        label_names=label_names,
        fits=Fits(list(range(seeds)), present_SN[:, rows], len(files)),
        read=lambda weights_SNP, on_file: _read(files, config, positions, count, rows, weights_SNP, on_file),
        grids={sidecar.NAME if described else "cfg.json": grid} if grid else {},
        lists={
            name: sha256(folder / name)
            for name in ("nef.json", "nef_cfg.json", "cfg.json", sidecar.NAME)
            if (folder / name).is_file()
        },
        sidecar=described,
    )


def _listed(folder: Path) -> tuple[list[_File], ParamConfig]:
    """Open every file once: ranges, labels and tensors must agree."""
    files: list[_File] = []
    config: ParamConfig = []
    for path in sorted(folder.glob("*.hdf5")):
        match = _FILE.fullmatch(path.stem)
        if match is None:
            raise InrzooError(f"{path} is not named like nefs_0-1000.hdf5, by the numbers of its fields")
        first, end = int(match["first"]), int(match["end"])
        with Hdf5File(path) as opened:
            theirs = _config(opened)
            shape = opened.shape("params")
            if shape != (end - first, flax_tensors.num_params(theirs)) or end <= first:
                expected = [end - first, flax_tensors.num_params(theirs)]
                raise InrzooError(f"{path}: params has shape {[*shape]}; its name and param_config say {expected}")
            if config and theirs != config:
                raise InrzooError(f"{path} has other tensors than {files[0].path.name}; keep one kind of fields")
            labels = opened.all("labels", "iu") if "labels" in opened.names() else None
        if labels is not None and (labels.ndim != 1 or len(labels) != end - first or labels.min() < 0):
            raise InrzooError(f"{path}: labels are not {end - first} class codes")
        config = theirs
        files.append(_File(path, first, end, None if labels is None else labels.astype(np.int64)))
    if not files:
        raise InrzooError(f"{folder} has no file like nefs_0-1000.hdf5")
    files.sort(key=lambda file: file.first)
    for one, next_one in pairwise(files):
        if next_one.first < one.end:
            raise InrzooError(f"{next_one.path} and {one.path.name} both have field {next_one.first}; keep one of them")
    if any((file.labels is None) != (files[0].labels is None) for file in files):
        raise InrzooError(f"some files in {folder} have labels and others have none")
    return files, config


def _config(opened: Hdf5File) -> ParamConfig:
    try:
        return flax_tensors.parsed_config(json.loads(opened.text("param_config")))
    except (ValueError, RecursionError):
        raise InrzooError(f"{opened.path}: param_config is not valid JSON") from None
    except InrzooError as error:
        raise InrzooError(f"{opened.path}: {error}" if str(opened.path) not in str(error) else str(error)) from None


def _counts(
    folder: Path, total: int, published: Published | None, described: Sidecar | None, options: Options
) -> tuple[int, int]:
    """Return the numbers of signals and of seeds: a field's number is seed · signals + signal."""
    count = options.per_seed
    if count is not None and (count < 1 or described is not None):
        allowed = "at least 1" if described is None else f"it left out: {folder / sidecar.NAME} says the number"
        raise InrzooError(f"--per-seed {count} is not allowed; expected {allowed}")
    if described is not None:
        count = len(described.signal_ids)
    elif count is None and published is not None:
        count = published.count
    if count is None or total <= count:
        return total, 1
    return count, -(-total // count)


def _split(
    folder: Path,
    rows: NDArray[np.int64],
    published: Published | None,
    described: Sidecar | None,
    options: Options,
) -> tuple[NDArray[np.uint8], list[str]]:
    if described is not None:
        first_rows = np.array(described.split_points, dtype=np.int64)
        if len(first_rows) != len(described.split_names) - 1:
            raise InrzooError(f"{folder / sidecar.NAME} contradicts itself: split_points; export the store again")
        return np.searchsorted(first_rows, rows, side="right").astype(np.uint8), described.split_names
    points = options.split_points or (published.split_points if published else None)
    if points is None or len(points) != 2 or not 0 <= points[0] <= points[1]:
        raise InrzooError(
            f"{folder} has no cfg.json that names a set of the arena; pass the first validation and the first test "
            "number with --split-points, for its MNIST 55000,60000"
        )
    return np.searchsorted(np.array(points), rows, side="right").astype(np.uint8), SPLIT_NAMES


def _labels(
    files: list[_File], total: int, count: int, rows: NDArray[np.int64], described: Sidecar | None
) -> tuple[dict[str, NDArray[np.int64]], dict[str, list[str]]]:
    if files[0].labels is None and described is None:
        return {"class": np.zeros(len(rows), dtype=np.int64)}, {"class": [UNLABELLED]}
    all_labels = np.full(count, -1, dtype=np.int64)
    for file in files:
        if file.labels is None:
            continue
        numbers = np.arange(file.first, file.end) % count
        known = all_labels[numbers]
        if ((known >= 0) & (known != file.labels)).any():
            raise InrzooError(f"{file.path} labels a signal other than another seed does; is --per-seed {count} right?")
        all_labels[numbers] = file.labels
    if described is not None:
        columns = {name: np.array(codes, dtype=np.int64)[rows] for name, codes in described.labels.items()}
        first = columns[described.label_columns[0]]
        if files[0].labels is not None and (all_labels[rows] != first).any():
            raise InrzooError(f"the labels in {files[0].path.parent} are not those of its {sidecar.NAME}")
        return {name: columns[name] for name in described.label_columns}, described.label_names
    codes = all_labels[rows]
    if codes.max() >= 2**16:
        raise InrzooError(f"{files[0].path.parent} has the label {codes.max()}; expected class codes")
    return {"class": codes}, {"class": [str(code) for code in range(int(codes.max()) + 1)]}


def _slabs(file: _File, num_params: int) -> Iterator[tuple[int, int]]:
    step = max(1, SLAB_BYTES // (4 * num_params))
    for start in range(0, file.end - file.first, step):
        yield start, min(start + step, file.end - file.first)


def _read(
    files: list[_File],
    config: ParamConfig,
    positions: NDArray[np.int64],
    count: int,
    rows: NDArray[np.int64],
    weights_SNP: NDArray[np.float32],
    on_file: OnFile,
) -> str:
    weights_SNP[:] = np.nan
    row_of = np.full(count, -1, dtype=np.int64)
    row_of[rows] = np.arange(len(rows))
    digest = hashlib.sha256()
    on_file(0, len(files))
    for done, file in enumerate(files, start=1):
        digest.update(bytes.fromhex(sha256(file.path)))
        with Hdf5File(file.path) as opened:
            if _config(opened) != config:
                raise InrzooError(f"{file.path} was changed while it was read; import it again")
            for start, stop in _slabs(file, len(positions)):
                part = opened.rows("params", slice(start, stop), "f")
                if part.dtype != np.float32 or part.shape != (stop - start, len(positions)):
                    raise InrzooError(f"{file.path}: params holds {part.dtype}; expected float32")
                numbers = np.arange(file.first + start, file.first + stop)
                weights_SNP[numbers // count, row_of[numbers % count]] = part[:, positions]
        on_file(done, len(files))
    return digest.hexdigest()
