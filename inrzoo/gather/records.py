"""What a store of gathered INRs records of itself.

Shape letters: N signals, S seeds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import inrzoo
from inrzoo import manifest
from inrzoo.choices import INR_BY_INR
from inrzoo.gather.parts import Gathering, Part
from inrzoo.store import StoreInfo
from inrzoo.store.recorded import GatheredInfo, GatheredPart, GeneratedInfo, PartitionRows, RecordedManifest


def info_of(
    gathering: Gathering, name: str, digest: str, split_names: Sequence[str], label_names: dict[str, list[str]]
) -> StoreInfo:
    """Return what the new store records of itself.

    Args:
        name: name of the dataset where the parts' datasets differ.
        digest: sha256 of the signals.
        split_names, label_names: those of all parts.
    """
    infos = [part.store.info for part in gathering.parts]
    first = infos[0]
    tables = {**_joined_tables([info.manifest.tables for info in infos], name), "seeds": gathering.shape[1]}
    tables.pop("gathered", None)
    parts = tuple(map(_provenance, gathering.parts))
    refits = _can_be_fitted_again(gathering)
    if not refits:  # the INRs are no function of the signals and the settings alone, which the fingerprint is of
        origins = [[part.fingerprint, part.seeds] for part in parts]
        asked = json.dumps([origins, gathering.snapshots, gathering.selection], sort_keys=True)
        tables["gathered"] = {"sha256": hashlib.sha256(asked.encode()).hexdigest()}
    environment = {
        key: ", ".join(dict.fromkeys(info.environment.get(key, "unknown") for info in infos))
        for key in dict.fromkeys(key for info in infos for key in info.environment)
    }
    imported = first.imported
    if imported is not None and len(infos) > 1:
        known = [info.imported for info in infos if info.imported is not None]
        files = hashlib.sha256("".join(each.sha256 for each in known).encode()).hexdigest()
        imported = replace(imported, num_files=sum(each.num_files for each in known), sha256=files, lists={}, copies=())
    return replace(
        first,
        dataset=tables["name"],
        manifest=RecordedManifest.from_tables(tables),
        fingerprint=manifest.fingerprint(tables, digest),
        signals_sha256=digest,
        source_checksums={key: value for info in infos for key, value in info.source_checksums.items()},
        label_names={column: tuple(names) for column, names in label_names.items()},
        split_names=tuple(split_names),
        snapshots=gathering.snapshots,
        partition=PartitionRows.choose(gathering.shape[0], len(gathering.snapshots) * first.layout.num_params),
        version=inrzoo.__version__,
        environment=environment,
        published_seeds=(),
        checksums={},
        complete=False,
        partial=(),
        repairing={},
        imported=imported,
        generated=_drawn_together(infos),
        skipped={key: value for info in infos for key, value in info.skipped.items()},
        gathered=GatheredInfo(parts=parts, selection=gathering.selection, refits=refits),
    )


def _drawn_together(infos: Sequence[StoreInfo]) -> GeneratedInfo | None:
    """Return the model whose samples all parts are: one, since their settings agree. Seeds and classes may differ."""
    first = infos[0].generated
    if first is None or all(info.generated == first for info in infos):
        return first
    return replace(first, seed=None, label=None)


def _provenance(part: Part) -> GatheredPart:
    store, info = part.store, part.store.info
    return GatheredPart(
        store=store.location if "://" in store.location else Path(store.location).name,  # folders are private
        dataset=info.dataset,
        fingerprint=info.fingerprint,
        signals_sha256=info.signals_sha256,
        source=info.manifest.source,
        source_checksums=info.source_checksums,
        environment=info.environment,
        version=info.version,
        num_signals=len(part.signals),
        num_inrs=int(part.chosen_NS.sum()),
        seeds=tuple(part.seeds.tolist()),
    )


def _can_be_fitted_again(gathering: Gathering) -> bool:
    """Whether the new records decide every bit of the INRs: random streams know dataset, seed and signal."""
    first = gathering.first.info
    return gathering.axis == 0 and all(
        info.imported is None
        and info.fitter is None
        and info.manifest.fit.get("engine") in INR_BY_INR
        and (info.dataset, info.environment) == (first.dataset, first.environment)
        and (info.gathered is None or info.gathered.refits)
        and part.store.has_signals  # its source would give the signals of the whole dataset
        and part.seeds.tolist() == list(range(len(part.seeds)))
        and len(part.steps) == len(part.store.snapshots)
        for part in gathering.parts
        for info in [part.store.info]
    )


def _joined_tables(tables: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the manifest of all stores; where the parts' datasets differ, of a dataset of that name."""
    joined = dict(tables[0])
    if len(tables) == 1:
        return joined
    for key in ("title", "licence", "citation"):
        joined[key] = "; ".join(dict.fromkeys(str(each[key]) for each in tables if each.get(key)))
    if entries := dict.fromkeys(str(each["bibtex"]).strip() for each in tables if each.get("bibtex")):
        joined["bibtex"] = "\n\n".join(entries)
    joined["redistributable"] = all(each.get("redistributable", False) for each in tables)
    if any(each.get("name") != joined.get("name") for each in tables):
        joined["name"] = name
    if any((each.get("source"), each.get("limit")) != (joined.get("source"), joined.get("limit")) for each in tables):
        joined |= {"source": {"name": "merged"}, "limit": None}
    return joined
