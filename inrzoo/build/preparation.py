"""From a manifest to a store that is ready for its workers: created, continued, or refused.

Shape letters: N signals, K coordinates, C channels.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.filesize import decimal

import inrzoo
from inrzoo import fit, manifest, registry
from inrzoo.build.worker import environment
from inrzoo.errors import InrzooError
from inrzoo.manifest import Manifest
from inrzoo.sources import Signals
from inrzoo.store import Contents, Store, create_store, grow, open_store, signals_digest, stage_signals
from inrzoo.store.files import free_bytes

OnRead = Callable[[int, int], None]
"""Called with (signals read, signals in all)."""


def prepare(wanted: Manifest, out: Path, source: Path | None, device: str, overwrite: bool, on_read: OnRead) -> Store:
    """Open the store of a manifest for writing; create it where there is none.

    Raises:
        InrzooError: `out` holds something else, a store with other settings or from another environment, or the disk
            is too small.
    """
    if overwrite and out.exists():
        open_store(out)  # refuses to remove what is not a store
        shutil.rmtree(out)
    if not out.exists():
        return _create(wanted, out, source, device, on_read)
    store = open_store(out)
    _require_same(store, wanted, device)
    if wanted.seeds > store.num_seeds:
        grow(out, wanted.seeds)
        store = open_store(out)
    if not store.has_signals and not all(map(store.is_done, store.blocks())):
        stage_signals(out, read_signals(store, source, on_read))
        store = open_store(out)
    return store


def read_signals(store: Store, source: Path | None, on_read: OnRead) -> NDArray[np.uint8]:
    """Read again the signals of a store that does not hold them. Shape (N, K, C).

    Raises:
        InrzooError: they are not the signals that the store was fitted to.
    """
    settings = Manifest.from_json(store.attributes["manifest"])
    signals = _read_source(settings, source)
    values = _decode(signals, np.empty(_shape(signals), dtype=np.uint8), on_read)
    if signals_digest(list(signals.ids), values) != store.attributes["signals_sha256"]:
        raise InrzooError(
            f"the signals at {source or 'the default source'} are not those that {store.path} was fitted to"
        )
    return values


def _create(wanted: Manifest, out: Path, source: Path | None, device: str, on_read: OnRead) -> Store:
    signals = _read_source(wanted, source)
    shape = _shape(signals)
    inr = registry.make("inrs", wanted.inr, in_features=len(signals.grid), out_features=signals.channels)
    num_bytes = 4 * len(signals) * wanted.seeds * len(wanted.fit.snapshots) * inr.layout.num_params
    # A seed's blocks are let go only after its shards are safe, so for a moment one seed is there twice.
    needed = num_bytes + num_bytes // wanted.seeds + int(np.prod(shape))
    if needed > free_bytes(out):
        raise InrzooError(f"{out} needs {decimal(needed)}, the disk has {decimal(free_bytes(out))} free")
    staging = out.with_name(f".{out.name}.signals")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        memory_map = np.lib.format.open_memmap(staging, mode="w+", dtype=np.uint8, shape=shape)
        values = _decode(signals, memory_map, on_read)
        create_store(out, _contents(wanted, signals, values, inr, device))
    finally:
        staging.unlink(missing_ok=True)
    return open_store(out)


def _contents(wanted: Manifest, signals: Signals, values: NDArray[np.uint8], inr: Any, device: str) -> Contents:
    resolved = wanted.to_json()
    sha = signals_digest(list(signals.ids), values)
    attributes = {
        "dataset": wanted.name,
        "manifest": resolved,
        "fingerprint": manifest.fingerprint(resolved, sha),
        "signals_sha256": sha,
        "source_checksums": signals.checksums,
        "inr": {**resolved["inr"], "in_features": inr.in_features, "out_features": inr.out_features},
        "layout": inr.layout.to_json(),
        "grid": list(signals.grid),
        "label_columns": list(signals.labels),  # a list: the order of keys is lost in the attributes
        "label_names": signals.label_names,
        "split_names": list(signals.split_names),
        "status_names": list(fit.STATUS_NAMES),
        "environment": environment(device),
        "inrzoo": inrzoo.__version__,
    }
    return Contents(
        attributes=attributes,
        num_params=inr.layout.num_params,
        snapshots=wanted.fit.snapshots,
        num_seeds=wanted.seeds,
        ids=list(signals.ids),
        split=signals.split,
        labels=signals.labels,
        signals_NKC=values,
        publish_signals=wanted.redistributable,
    )


def _read_source(wanted: Manifest, path: Path | None) -> Signals:
    signals: Signals = registry.make("sources", wanted.source).read(path)
    if not len(signals):
        raise InrzooError(f"{wanted.source['name']} found no signals in {path}")
    return (signals if wanted.limit is None else signals.limit(wanted.limit)).by_split()


def _shape(signals: Signals) -> tuple[int, int, int]:
    return len(signals), int(np.prod(signals.grid)), signals.channels


def _decode(signals: Signals, out: NDArray[np.uint8], on_read: OnRead) -> NDArray[np.uint8]:
    on_read(0, len(signals))
    for done, (index, array) in enumerate(signals.values(range(len(signals))), start=1):
        out[index] = array.reshape(out.shape[1:])
        on_read(done, len(signals))
    return out


def _require_same(store: Store, wanted: Manifest, device: str) -> None:
    differing = manifest.differences(store.attributes["manifest"], wanted.to_json())
    if differing:
        raise InrzooError(
            f"{store.path} was built with other settings ({'; '.join(differing)}); "
            "give another --out, or --overwrite to replace it"
        )
    if all(map(store.is_done, store.blocks())) and wanted.seeds <= store.num_seeds:
        return
    here = environment(device)
    differing = manifest.differences(store.attributes["environment"], here)
    if differing:
        raise InrzooError(
            f"{store.path} was fitted elsewhere ({'; '.join(differing)}), INRs from here would not be the same to the "
            "bit; continue it there, or give another --out"
        )
