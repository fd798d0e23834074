"""Folders with one `.pth` per INR in the layouts of DWSNets, neural-graphs, NFN and vsitzmann/siren, and our exports.

Shape letters: N signals, S seeds, P parameters of one INR.
"""

import hashlib
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from inrzoo import registry
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.interchange import folder as folders
from inrzoo.interchange import sidecar, state_files
from inrzoo.interchange.folder import Listing
from inrzoo.interchange.incoming import FileEach, ImageKey, IncomingSet, Meaning, Options
from inrzoo.interchange.reading import reading_of
from inrzoo.interchange.state_dict_conventions import Convention
from inrzoo.store.files import sha256


def read_folder(folder: Path, options: Options) -> IncomingSet:
    """List a folder, and read the shapes of the tensors in its first file.

    Raises:
        InrzooError: the folder, its first file or an option is wrong.
    """
    listing = folders.read(folder, options.split_points, options.root)
    require_described(listing)
    described = listing.sidecar
    first = listing.signals[0].first
    tensors, _ = state_files.read((folder / first).read_bytes(), first)
    try:
        shapes = state_files.shapes_of(tensors)
        convention, meaning = reading_of(shapes, None if described is None else described.convention, options)
    except InrzooError as error:
        raise InrzooError(f"{first}: {error}") from None
    meaning = agreed(convention, meaning, listing)
    inr: INR = registry.make("inrs", meaning.spec)
    files = FileEach([signal.files for signal in listing.signals])

    def vector(row: int, path: PurePosixPath) -> tuple[NDArray[np.float32], bytes]:
        content, expected = (folder / path).read_bytes(), listing.signals[row].label
        tensors, label = state_files.read(content, str(path))
        if label not in (None, expected):
            raise InrzooError(f"{path} has label {label} inside, {expected} in the splits")
        try:
            return state_files.flat(tensors, shapes, inr.layout, convention), hashlib.sha256(content).digest()
        except InrzooError as error:
            raise InrzooError(f"{path}: {error}") from None

    lists = [file for file in (listing.splits_file, described and folder / sidecar.NAME) if file]
    columns, label_names = _labels(listing)
    return IncomingSet(
        source=folder,
        format="state-dicts",
        convention=convention.name,
        meaning=meaning,
        names=[signal.first for signal in listing.signals],
        ids=_ids(listing),
        keys=_keys(listing),
        settled=described is not None,
        split=listing.split,
        split_names=listing.split_names,
        labels=columns,
        label_names=label_names,
        fits=files.fits,
        read=partial(files.read, vector),
        grids={} if described is None else {sidecar.NAME: described.grid},
        lists={file.name: sha256(file) for file in lists},
        sidecar=described,
    )


def require_described(listing: Listing) -> None:
    """Check that an `inrzoo.json` contains every signal of the folder with its label."""
    described = listing.sidecar
    if described is None:
        return
    label_of = dict(zip(described.paths, described.labels[described.label_columns[0]], strict=True))
    for signal in listing.signals:
        if label_of.get(signal.first) != signal.label:
            known = "does not know it" if signal.first not in label_of else f"says {label_of[signal.first]}"
            raise InrzooError(f"{signal.first} has label {signal.label}, {listing.folder / sidecar.NAME} {known}")


def agreed(convention: Convention, meaning: Meaning, listing: Listing) -> Meaning:
    """Take the SIREN's `convention` from `inrzoo.json`, whose other contents must agree with the files."""
    described, spec = listing.sidecar, meaning.spec
    if described is None:
        return meaning
    if described.convention != convention.name:
        names = f"{described.convention}, the files are {convention.name}"
        raise InrzooError(f"{listing.folder / sidecar.NAME} says {names}")
    ours = {"name": "siren", **asdict(registry.make("inrs", spec))}
    theirs = {"name": described.inr.get("name"), **asdict(registry.make("inrs", described.inr))}
    differing = [
        f"{key}: {ours[key]} → {theirs[key]}" for key in ours if key != "convention" and ours[key] != theirs.get(key)
    ]
    if differing or ours.keys() != theirs.keys():
        raise InrzooError(
            f"{listing.folder / sidecar.NAME} describes another INR than the files ({'; '.join(differing)})"
        )
    said_by = {**meaning.said_by, "inr.convention": sidecar.NAME}
    return replace(meaning, spec={**spec, "convention": theirs["convention"]}, said_by=said_by)


def _ids(listing: Listing) -> list[str]:
    if listing.sidecar is not None:
        id_of = dict(zip(listing.sidecar.paths, listing.sidecar.signal_ids, strict=True))
        return [id_of[signal.first] for signal in listing.signals]
    return [signal.first for signal in listing.signals]


def _keys(listing: Listing) -> list[ImageKey]:
    if listing.sidecar is not None:
        return list(_ids(listing))
    names = [signal.name for signal in listing.signals]
    return [
        signal.first if name.number is None else (name.part, name.number)
        for signal, name in zip(listing.signals, names, strict=True)
    ]


def _labels(listing: Listing) -> tuple[dict[str, NDArray[np.int64]], dict[str, list[str]]]:
    """Return the label columns in the order of the listing, and the names of their codes."""
    described = listing.sidecar
    if described is not None:
        row_of = {path: row for row, path in enumerate(described.paths)}
        rows = [row_of[signal.first] for signal in listing.signals]
        columns = {
            column: np.array(described.labels[column], dtype=np.int64)[rows] for column in described.label_columns
        }
        return columns, described.label_names
    names = [str(code) for code in range(int(listing.labels.max()) + 1)]
    return {"class": listing.labels}, {"class": names}
