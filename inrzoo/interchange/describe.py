"""What a store made of state dicts says of itself: from the folder, `inrzoo.json`, the images and the readers' code.

Where two of them say the same thing they must agree.
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
from inrzoo.store import signals_digest
from inrzoo.store.files import sha256
from inrzoo.store.info import ImportInfo, PartitionRows, RecordedManifest, StoreInfo

UNKNOWN_STEP = 0
"""The step count of a snapshot where the folder does not say it."""


def require_described(listing: Listing) -> None:
    """An `inrzoo.json` must know every signal of the folder, with its label."""
    kept = listing.sidecar
    if kept is None:
        return
    label_of = dict(zip(kept.paths, kept.labels[kept.label_columns[0]], strict=True))
    for signal in listing.signals:
        if label_of.get(signal.first) != signal.label:
            known = "does not know it" if signal.first not in label_of else f"says {label_of[signal.first]}"
            raise InrzooError(f"{signal.first} has label {signal.label}, {listing.folder / sidecar.NAME} {known}")


def agreed(reading: Reading, listing: Listing) -> Reading:
    """The reading, the SIREN's `convention` from `inrzoo.json`; all else there must be what the files say."""
    kept, spec, convention = listing.sidecar, reading.spec, reading.convention
    if kept is None:
        return reading
    if kept.convention != convention.name:
        raise InrzooError(f"{listing.folder / sidecar.NAME} says {kept.convention}, the files are {convention.name}")
    ours = {"name": "siren", **asdict(registry.make("inrs", spec))}
    theirs = {"name": kept.inr.get("name"), **asdict(registry.make("inrs", kept.inr))}
    differing = [
        f"{key}: {ours[key]} → {theirs[key]}" for key in ours if key != "convention" and ours[key] != theirs.get(key)
    ]
    if differing or ours.keys() != theirs.keys():
        raise InrzooError(
            f"{listing.folder / sidecar.NAME} describes another INR than the files ({'; '.join(differing)})"
        )
    said_by = {**reading.said_by, "inr.convention": sidecar.NAME}
    return replace(reading, spec={**spec, "convention": theirs["convention"]}, said_by=said_by)


def grid_of(given: tuple[int, ...] | None, listing: Listing, matched: Images | None, inr: INR) -> list[int]:
    """Sizes of an image, from whoever says them; all who do must agree, and the INRs must fit them."""
    said = {
        "--grid": given,
        sidecar.NAME: listing.sidecar and listing.sidecar.grid,
        "--dataset": matched and matched.grid,
    }
    sizes = {key: [*value] for key, value in said.items() if value}
    if not sizes:
        raise InrzooError(
            f"the files in {listing.folder} do not say how large an image is; give --grid 28x28 or --dataset"
        )
    grid = next(iter(sizes.values()))
    if any(other != grid for other in sizes.values()):
        raise InrzooError(f"the grid is contradictory: {', '.join(f'{key} {value}' for key, value in sizes.items())}")
    channels = inr.out_features if matched is None else matched.values_NKC.shape[2]
    if len(grid) != inr.in_features or channels != inr.out_features or min(grid) < 1:
        raise InrzooError(
            f"the INRs take {inr.in_features} coordinates and give {inr.out_features} channels; the images are "
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
    """What the store records. Of the fit it says that there was none here, and the sha256 of the files."""
    kept, own, convention, spec = listing.sidecar, matched and matched.manifest, reading.convention, reading.spec
    said = kept or own
    dataset = name or (said and (kept.dataset if kept else own.name if own else None)) or listing.folder.resolve().name
    resolved = {
        "name": dataset,
        "title": said.title if said else f"INRs imported from {convention.name} state dicts",
        "licence": said.licence if said else "unknown",
        "citation": said.citation if said else "",
        "redistributable": bool(own and own.redistributable),
        "preset": None,
        "seeds": len(listing.copies),
        "limit": None,
        "source": own.to_json()["source"] if own else {"name": "imported"},
        "inr": {key: value for key, value in spec.items() if key not in ("in_features", "out_features")},
        "coords": reading.coords,
        "values": {"range": list(reading.value_range)},
        "init": kept.init if kept else {"mode": "random"},
        "fit": {"engine": "imported", "convention": convention.name, "sha256": digest},
    }
    ids, sha = ids_of(listing, matched), digest
    if matched is not None:
        sha = signals_digest(ids, matched.values_NKC)
    files = [file for file in (listing.splits_file, listing.sidecar and listing.folder / sidecar.NAME) if file]
    columns, label_names = _label_columns(listing, matched)
    copies = kept.seeds if kept and len(kept.seeds) == len(listing.copies) else listing.copies
    return StoreInfo(
        dataset=dataset,
        manifest=RecordedManifest.from_tables(resolved),
        fingerprint=manifest.fingerprint(resolved, sha),
        signals_sha256=sha,
        source_checksums={} if matched is None else matched.checksums,
        inr=spec,
        layout=inr.layout,
        grid=tuple(grid),
        label_columns=tuple(columns),
        label_names={column: tuple(names) for column, names in label_names.items()},
        split_names=tuple(listing.split_names),
        snapshots=(kept.step if kept else UNKNOWN_STEP,),
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
            exported_from=kept.fingerprint if kept else None,
        ),
    )


def ids_of(listing: Listing, matched: Images | None) -> list[str]:
    """Ids of the signals: those of the export, of the images, or the first file of each."""
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
    """Label columns in the order of the listing."""
    kept = listing.sidecar
    if kept is not None:
        row_of = {path: row for row, path in enumerate(kept.paths)}
        rows = [row_of[signal.first] for signal in listing.signals]
        return {column: np.array(kept.labels[column], dtype=np.int64)[rows] for column in kept.label_columns}
    return {"class": listing.labels} if matched is None else matched.labels
