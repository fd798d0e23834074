"""Collects the records of an imported store from the folder, `inrzoo.json`, the images and the convention.

These must not contradict each other.
"""

from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

import inrzoo
from inrzoo import manifest, registry
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.interchange import sidecar
from inrzoo.interchange.folder import Listing
from inrzoo.interchange.images import Images
from inrzoo.interchange.reading import Reading
from inrzoo.store.files import sha256
from inrzoo.store.info import StoreInfo
from inrzoo.store.recorded import ImportInfo, PartitionRows, RecordedManifest

UNKNOWN_STEP = 0
"""Step count of a snapshot if it is unknown."""


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


def agreed(reading: Reading, listing: Listing) -> Reading:
    """Take the SIREN's `convention` from `inrzoo.json`, whose other contents must agree with the files."""
    described, spec, convention = listing.sidecar, reading.spec, reading.convention
    if described is None:
        return reading
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
    said_by = {**reading.said_by, "inr.convention": sidecar.NAME}
    return replace(reading, spec={**spec, "convention": theirs["convention"]}, said_by=said_by)


def grid_of(grid_option: tuple[int, ...] | None, listing: Listing, matched: Images | None, inr: INR) -> list[int]:
    """Return the size of an image from all sources of it, which must agree with each other and with the INRs."""
    sources = {
        "--grid": grid_option,
        sidecar.NAME: listing.sidecar and listing.sidecar.grid,
        "--dataset": matched and matched.grid,
    }
    sizes = {key: [*value] for key, value in sources.items() if value}
    if not sizes:
        raise InrzooError(
            f"the files in {listing.folder} do not contain the size of an image; pass --grid 28x28 or --dataset"
        )
    grid = next(iter(sizes.values()))
    if any(other != grid for other in sizes.values()):
        raise InrzooError(f"the grid is contradictory: {', '.join(f'{key} {value}' for key, value in sizes.items())}")
    channels = inr.out_features if matched is None else matched.values_NKC.shape[2]
    if len(grid) != inr.in_features or channels != inr.out_features or min(grid) < 1:
        raise InrzooError(
            f"the INRs take {inr.in_features} coordinates and return {inr.out_features} channels; the images are "
            f"{'x'.join(map(str, grid))} with {channels} channels"
        )
    return grid


def info_of(
    listing: Listing,
    reading: Reading,
    inr: INR,
    grid: list[int],
    matched: Images | None,
    digest: str,
    name: str | None,
) -> StoreInfo:
    """Return the records of the store. Instead of a fit they contain the sha256 of the files."""
    described, own, convention = listing.sidecar, matched and matched.manifest, reading.convention
    spec = {**reading.spec, **asdict(inr)}
    texts = described or own
    dataset = name or (described.dataset if described else own.name if own else None) or listing.folder.resolve().name
    resolved = {
        "name": dataset,
        "title": texts.title if texts else f"INRs imported from {convention.name} state dicts",
        "licence": texts.licence if texts else "unknown",
        "citation": texts.citation if texts else "",
        "redistributable": bool(own and own.redistributable),
        "preset": None,
        "seeds": len(listing.copies),
        "limit": None,
        "source": own.to_json()["source"] if own else {"name": "imported"},
        "inr": {key: value for key, value in spec.items() if key not in ("in_features", "out_features")},
        "coords": reading.coords,
        "values": {"range": list(reading.value_range)},
        "init": described.init if described else {"mode": "random"},
        "fit": {"engine": "imported", "convention": convention.name, "sha256": digest},
    }
    ids, sha = ids_of(listing, matched), digest
    if matched is not None:
        sha = matched.table.digest(ids)
    files = [file for file in (listing.splits_file, listing.sidecar and listing.folder / sidecar.NAME) if file]
    columns, label_names = _label_columns(listing, matched)
    copies = described.seeds if described and len(described.seeds) == len(listing.copies) else listing.copies
    return StoreInfo(
        dataset=dataset,
        manifest=RecordedManifest.from_tables(resolved),
        fingerprint=manifest.fingerprint(resolved, sha),
        signals_sha256=sha,
        source_checksums={} if matched is None else matched.checksums,
        inr=spec,
        layout=inr.layout,
        formula=inr.formula(),
        grid=tuple(grid),
        label_columns=tuple(columns),
        label_names={column: tuple(names) for column, names in label_names.items()},
        split_names=tuple(listing.split_names),
        snapshots=(described.step if described else UNKNOWN_STEP,),
        partition=PartitionRows.choose(len(listing.signals), inr.layout.num_params),
        environment={"torch": "unknown", "device": "unknown", "instruction_set": "unknown"},
        version=inrzoo.__version__,
        imported=ImportInfo(
            convention=convention.name,
            said_by=reading.said_by,
            num_files=sum(len(signal.files) for signal in listing.signals),
            sha256=digest,
            lists={file.name: sha256(file) for file in files},
            copies=tuple(copies),
            exported_from=described.fingerprint if described else None,
        ),
    )


def ids_of(listing: Listing, matched: Images | None) -> list[str]:
    """Return the ids of the signals: those of the export, of the images, or the first files."""
    if listing.sidecar is not None:
        id_of = dict(zip(listing.sidecar.paths, listing.sidecar.signal_ids, strict=True))
        return [id_of[signal.first] for signal in listing.signals]
    return matched.ids if matched is not None else [signal.first for signal in listing.signals]


def _label_columns(listing: Listing, matched: Images | None) -> tuple[list[str], dict[str, list[str]]]:
    if listing.sidecar is not None:
        return listing.sidecar.label_columns, listing.sidecar.label_names
    if matched is not None:
        return list(matched.labels), matched.label_names
    return ["class"], {"class": [str(code) for code in range(int(listing.labels.max()) + 1)]}


def labels_of(listing: Listing, matched: Images | None) -> dict[str, NDArray[np.int64]]:
    """Return the label columns in the order of the listing."""
    described = listing.sidecar
    if described is not None:
        row_of = {path: row for row, path in enumerate(described.paths)}
        rows = [row_of[signal.first] for signal in listing.signals]
        return {column: np.array(described.labels[column], dtype=np.int64)[rows] for column in described.label_columns}
    return {"class": listing.labels} if matched is None else matched.labels
