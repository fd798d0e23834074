"""Collects the records of an imported store from its files, their description, the images and the user.

These must not contradict each other.
"""

from dataclasses import asdict
from typing import Any

from inrzoo import __version__, manifest
from inrzoo.errors import InrzooError
from inrzoo.inrs import INR
from inrzoo.interchange.images import Images
from inrzoo.interchange.incoming import IncomingSet
from inrzoo.store.info import StoreInfo, format_of
from inrzoo.store.recorded import ImportInfo, PartitionRows, RecordedManifest

UNKNOWN_STEP = 0
"""Step count of a snapshot if it is unknown."""


def grid_of(grid_option: tuple[int, ...] | None, incoming: IncomingSet, matched: Images | None, inr: INR) -> list[int]:
    """Return the size of an image from all sources of it, which must agree with each other and with the INRs."""
    sources = {"--grid": grid_option, **incoming.grids, "--dataset": matched and matched.grid}
    sizes = {key: [*value] for key, value in sources.items() if value}
    if not sizes:
        example = "x".join(["28" if inr.in_features < 3 else "32"] * inr.in_features)
        raise InrzooError(
            f"the files in {incoming.source} do not contain the size of an image; pass --grid {example} or --dataset"
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
    incoming: IncomingSet,
    inr: INR,
    grid: list[int],
    matched: Images | None,
    digest: str,
    name: str | None,
) -> StoreInfo:
    """Return the records of the store. Instead of a fit they contain the sha256 of the files."""
    described, own, meaning = incoming.sidecar, matched and matched.manifest, incoming.meaning
    spec = {**meaning.spec, **asdict(inr)}
    texts = described or own
    default_name = incoming.source.resolve().stem if incoming.source.is_file() else incoming.source.resolve().name
    dataset = name or (described.dataset if described else own.name if own else None) or default_name
    values: dict[str, Any] = {"range": list(meaning.known_range)}
    if matched is not None and matched.values.dtype != "uint8":
        values |= {"dtype": matched.values.dtype, "scale": matched.values.scale, "limits": list(meaning.known_range)}
    resolved = {
        "name": dataset,
        "title": texts.title
        if texts
        else f"INRs imported from {incoming.convention} {incoming.format.replace('-', ' ')}",
        "licence": texts.licence if texts else "unknown",
        "citation": texts.citation if texts else "",
        "redistributable": bool(own and own.redistributable),
        "preset": None,
        "seeds": len(incoming.fits.copies),
        "limit": None,
        "source": own.to_json()["source"] if own else {"name": "imported"},
        "inr": {key: value for key, value in spec.items() if key not in ("in_features", "out_features")},
        "coords": meaning.coords,
        "values": values,
        "init": described.init if described else {"mode": "random"},
        "fit": {"engine": "imported", "convention": incoming.convention, "sha256": digest},
    }
    ids, sha = ids_of(incoming, matched), digest
    if matched is not None:
        sha = matched.table.digest(ids)
    columns, label_names = labels_of(incoming, matched)
    copies = incoming.fits.copies
    if described and len(described.seeds) == len(copies):
        copies = described.seeds
    return StoreInfo(
        dataset=dataset,
        manifest=RecordedManifest.from_tables(resolved),
        fingerprint=manifest.fingerprint(resolved, sha),
        signals_sha256=sha,
        source_checksums={} if matched is None else matched.checksums,
        inr=spec,
        layout=inr.layout,
        format=format_of(None, inr.base_layout),
        base_layout=inr.base_layout,
        formula=inr.formula(),
        grid=tuple(grid),
        label_columns=tuple(columns),
        label_names={column: tuple(label_names[column]) for column in columns},
        split_names=tuple(incoming.split_names),
        snapshots=(described.step if described else UNKNOWN_STEP,),
        partition=PartitionRows.choose(len(incoming.names), inr.layout.num_params),
        environment={"torch": "unknown", "device": "unknown", "instruction_set": "unknown"},
        version=__version__,
        numbers=tuple(incoming.numbers),
        imported=ImportInfo(
            format=incoming.format,
            convention=incoming.convention,
            said_by=meaning.said_by,
            num_files=incoming.fits.num_files,
            sha256=digest,
            lists=incoming.lists,
            copies=tuple(copies),
            exported_from=described.fingerprint if described else None,
        ),
    )


def ids_of(incoming: IncomingSet, matched: Images | None) -> list[str]:
    """Return the ids of the signals: those of the export, of the images, or of the files."""
    return incoming.ids if matched is None or incoming.settled else matched.ids


def labels_of(incoming: IncomingSet, matched: Images | None) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return the label columns in the order of the signals, and the names of their codes."""
    if matched is None or incoming.settled:
        return incoming.labels, incoming.label_names
    return matched.labels, matched.label_names
