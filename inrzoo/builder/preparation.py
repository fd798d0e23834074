"""From a manifest to a store that is ready for its workers: created, continued, or refused.

Shape letters: N signals, K coordinates, C channels.
"""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.filesize import decimal

import inrzoo
from inrzoo import coords, fit, manifest, registry
from inrzoo.builder.fitter import Fitter
from inrzoo.builder.worker import elsewhere_than, environment, fixed_start, shared_draw
from inrzoo.errors import InrzooError
from inrzoo.fit.antialias import require_frequencies
from inrzoo.inrs import INR
from inrzoo.manifest import Manifest
from inrzoo.sources import Signals
from inrzoo.store import Contents, Location, Store, create_store, grow, open_store, signals_digest, stage_signals
from inrzoo.store.files import clear, free_bytes, is_there

OnRead = Callable[[int, int], None]
"""Called with (signals read, signals in all)."""


@dataclass(frozen=True)
class Request:
    """What a build was asked for, besides how many workers do it.

    Attributes:
        manifest: what to build.
        out: the store's folder, or its place in a bucket.
        source: local files to read signals from, or None.
        init: given starts, (1 or S, P), for the manifest's init mode `file`.
        fitter: the hypernetwork, for the manifest's init mode `hypernet`.
        device: what the start of a fixed init is fitted on.
        say: takes a line for the user.
    """

    manifest: Manifest
    out: Location
    source: Path | None = None
    init: NDArray[np.float32] | None = None
    fitter: Fitter | None = None
    device: str = "cpu"
    say: Callable[[str], None] = lambda line: None


def prepare(request: Request, on_read: OnRead) -> Store:
    """Open the store of a manifest for writing; create it where there is none.

    Raises:
        InrzooError: `out` holds something else, a store with other settings or from another environment, or the disk
            is too small.
    """
    wanted, out = request.manifest, request.out
    if not is_there(out):
        return _create(request, on_read)
    if isinstance(out, Path) and not (out / "zarr.json").is_file():
        raise InrzooError(f"--out {out}: what stands there is not a store; give another --out")
    store = open_store(out)
    wanted = require_same(store, request)
    request = replace(request, manifest=wanted)
    growing = wanted.seeds > store.num_seeds
    if not store.has_signals and (growing or not all(map(store.is_done, store.blocks()))):
        stage_signals(out, read_signals(store, request.source, on_read))
        store = open_store(out)
    if growing:
        signals = store.signals(slice(None)) if wanted.init.mode == "fixed" else None
        init_SP = _inits(request, store.inr, store.split, signals, tuple(store.attributes["grid"]))
        grow(out, wanted.seeds, init_SP)
        store = open_store(out)
    return store


def read_signals(store: Store, source: Path | None, on_read: OnRead) -> NDArray[np.uint8]:
    """Read again the signals of a store that does not hold them. Shape (N, K, C).

    Raises:
        InrzooError: they are not the signals that the store was fitted to.
    """
    settings = Manifest.from_json(store.attributes["manifest"])
    signals = read_source(settings, source)
    values = _decode(signals, np.empty(_shape(signals), dtype=np.uint8), on_read)
    if signals_digest(list(signals.ids), values) != store.attributes["signals_sha256"]:
        raise InrzooError(
            f"the signals at {source or 'the default source'} are not those that {store.path} was fitted to"
        )
    return values


def resolve(request: Request) -> tuple[Signals, INR, Manifest]:
    """The signals of a request, not decoded yet, their INR, and the manifest with the engine that will fit it here."""
    wanted = request.manifest
    signals = read_source(wanted, request.source)
    if request.fitter is not None:
        request.fitter.require(signals, wanted.name)
    limit = coords.nyquist(signals.grid, wanted.coords.spacing, wanted.coords.axis_order).min()
    inr = manifest.make_inr(wanted.inr, len(signals.grid), signals.channels, float(limit))
    if wanted.antialias.used:
        require_frequencies(inr, torch.zeros(1, inr.layout.num_params))
    engine, reason = fit.choose(wanted.fit.engine, inr, request.device, wanted.antialias.used, ready=True)
    if reason is not None:
        request.say(f"engine: {engine} ({reason})")
    return signals, inr, _with_engine(wanted, engine, fit.choose_products(wanted.fit.products, engine))


def disk_bytes(wanted: Manifest, signals: Signals, inr: INR) -> int:
    """Bytes that a build needs on the disk at most, while it runs."""
    num_bytes = 4 * len(signals) * wanted.seeds * len(wanted.fit.snapshots) * inr.layout.num_params
    # A seed's blocks are let go only after its shards are safe, so for a moment one seed is there twice.
    return num_bytes + num_bytes // wanted.seeds + int(np.prod(_shape(signals)))


def _create(request: Request, on_read: OnRead) -> Store:
    wanted, out = request.manifest, request.out
    signals, inr, wanted = resolve(request)
    shape, request = _shape(signals), replace(request, manifest=wanted)
    needed = disk_bytes(wanted, signals, inr)
    beside = out if isinstance(out, Path) else Path(tempfile.gettempdir()) / f"{os.getpid()}-{out.name}"
    if isinstance(out, Path) and needed > free_bytes(out):
        raise InrzooError(f"{out} needs {decimal(needed)}, the disk has {decimal(free_bytes(out))} free")
    staging = beside.with_name(f".{beside.name}.signals")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        clear(staging)
        memory_map = np.lib.format.open_memmap(staging, mode="w+", dtype=np.uint8, shape=shape)
        values = _decode(signals, memory_map, on_read)
        init_SP = _inits(request, inr, signals.split, values, signals.grid)
        create_store(out, _contents(request, signals, values, inr, init_SP))
    finally:
        staging.unlink(missing_ok=True)
    return open_store(out)


def _inits(
    request: Request,
    inr: INR,
    split: NDArray[np.uint8],
    signals_NKC: NDArray[np.uint8] | None,
    grid: tuple[int, ...],
) -> NDArray[np.float32] | None:
    """Where all signals of each seed start, (S, P), or None where each has a start of its own."""
    wanted, given = request.manifest, request.init
    if wanted.init.mode in ("random", "hypernet"):
        return None
    if wanted.init.mode == "file":
        if given is None or given.shape[1] != inr.layout.num_params or len(given) not in (1, wanted.seeds):
            there = "none" if given is None else f"{given.shape[0]} of {given.shape[1]} parameters"
            raise InrzooError(
                f"--init must hold 1 or {wanted.seeds} starts of {inr.layout.num_params} parameters; given: {there}"
            )
        return np.ascontiguousarray(np.broadcast_to(given, (wanted.seeds, given.shape[1])))
    if wanted.init.mode == "shared":
        return np.stack([shared_draw(inr, wanted, seed) for seed in range(wanted.seeds)])
    assert signals_NKC is not None
    # Signals are sorted by split: those to train on come first. Where there are none, all are drawn from.
    candidates = signals_NKC[: int((split == 0).sum()) or len(split)]
    drawn = [fixed_start(inr, wanted, seed, candidates, grid, request.device) for seed in range(wanted.seeds)]
    return np.stack(drawn)


def _contents(
    request: Request, signals: Signals, values: NDArray[np.uint8], inr: Any, init_SP: NDArray[np.float32] | None
) -> Contents:
    wanted = request.manifest
    resolved = wanted.to_json()
    sha = signals_digest(list(signals.ids), values)
    attributes = {
        "dataset": wanted.name,
        "manifest": resolved,
        "fingerprint": manifest.fingerprint(resolved, sha),
        "signals_sha256": sha,
        "source_checksums": signals.checksums,
        "inr": {**resolved["inr"], **{key: getattr(inr, key) for key in manifest.RUNTIME_FIELDS if hasattr(inr, key)}},
        "layout": inr.layout.to_json(),
        "grid": list(signals.grid),
        "label_columns": list(signals.labels),  # a list: the order of keys is lost in the attributes
        "label_names": signals.label_names,
        "split_names": list(signals.split_names),
        "status_names": list(fit.STATUS_NAMES),
        "environment": environment(request.device, wanted.fit.engine, wanted.init.mode == "hypernet"),
        "inrzoo": inrzoo.__version__,
    }
    if request.fitter is not None:
        attributes["fitter"] = {"sha256": request.fitter.sha256, **request.fitter.metadata}
    return Contents(
        attributes=attributes,
        num_params=inr.layout.num_params,
        num_axes=len(signals.grid),
        snapshots=wanted.fit.snapshots,
        num_seeds=wanted.seeds,
        ids=list(signals.ids),
        split=signals.split,
        labels=signals.labels,
        signals_NKC=values,
        publish_signals=wanted.redistributable,
        init_SP=init_SP,
        fitter=None if request.fitter is None else request.fitter.content,
    )


def read_source(wanted: Manifest, path: Path | None) -> Signals:
    """The signals of a manifest, in the store's order, not decoded yet.

    Args:
        path: local files to read them from; the source's default if None.

    Raises:
        InrzooError: the source is not there, or holds no signals.
    """
    signals: Signals = registry.make("sources", wanted.source).read(path)
    if not len(signals):
        raise InrzooError(f"{wanted.source['name']} found no signals in {path}")
    return (signals if wanted.limit is None else signals.limit(wanted.limit)).by_split()


def _with_engine(wanted: Manifest, engine: Any, products: Any) -> Manifest:
    return replace(wanted, fit=replace(wanted.fit, engine=engine, products=products))


def _as_begun(wanted: Manifest, begun: Mapping[str, Any]) -> Manifest:
    """`auto` goes on with what began."""
    asked = {key: begun[key] for key in ("engine", "products") if getattr(wanted.fit, key) == "auto" and key in begun}
    return replace(wanted, fit=replace(wanted.fit, **asked))


def _shape(signals: Signals) -> tuple[int, int, int]:
    return len(signals), int(np.prod(signals.grid)), signals.channels


def _decode(signals: Signals, out: NDArray[np.uint8], on_read: OnRead) -> NDArray[np.uint8]:
    on_read(0, len(signals))
    for done, (index, array) in enumerate(signals.values(range(len(signals))), start=1):
        out[index] = array.reshape(out.shape[1:])
        on_read(done, len(signals))
    return out


def require_same(store: Store, request: Request) -> Manifest:
    """Refuse to continue a store that was built with other settings or in another environment.

    Returns:
        The request's manifest with `auto` replaced by what the store began with.
    """
    wanted = _as_begun(request.manifest, store.attributes["manifest"]["fit"])
    differing = manifest.differences(store.attributes["manifest"], wanted.to_json())
    if differing:
        raise InrzooError(
            f"{store.path} was built with other settings ({'; '.join(differing)}); "
            "give another --out, or --overwrite to replace it"
        )
    if all(map(store.is_done, store.blocks())) and wanted.seeds <= store.num_seeds:
        return wanted
    differing = elsewhere_than(store, request.device)
    if differing:
        raise InrzooError(
            f"{store.path} was fitted elsewhere ({'; '.join(differing)}), INRs from here would not be the same to the "
            "bit; continue it there, or give another --out"
        )
    return wanted
