"""Prepares the store of a manifest for its workers: creates it, continues it, or refuses.

Shape letters: N signals, K coordinates, C channels.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.filesize import decimal

import inrzoo
from inrzoo import fit, manifest, registry
from inrzoo.builder.fitter import Fitter
from inrzoo.builder.worker import environment, environment_differences, fixed_start, shared_draw
from inrzoo.errors import InrzooError
from inrzoo.fit.antialias import require_frequencies
from inrzoo.inrs import INR
from inrzoo.manifest import Manifest
from inrzoo.observations import Observation
from inrzoo.sources import Signals
from inrzoo.store import Contents, Location, Store, create_store, grow, open_store, stage_signals
from inrzoo.store.files import clear, free_bytes, is_there, scratch
from inrzoo.store.info import ROUNDING_MEASURES, StoreInfo, format_of
from inrzoo.store.recorded import FitterInfo, PartitionRows, RecordedManifest
from inrzoo.store.weight_codec import WeightCodec, weight_format_of
from inrzoo.targets import SignalTable
from inrzoo.unfitted import inr_of, read_source, require_observable

COMPILED_SECONDS = 1.0
"""A kernel that takes longer to make ready was compiled; one of an earlier run is loaded in milliseconds."""
OnRead = Callable[[int, int], None]
"""Called with the numbers of signals read and of all signals."""


@dataclass(frozen=True)
class Request:
    """The arguments of a build, without those of its workers.

    Attributes:
        manifest: definition of the dataset.
        out: location of the store.
        source: local files of the signals, or None.
        init: initial weights, (1 or S, P), for the init mode `file`.
        fitter: hypernetwork for the init mode `hypernet`.
        device: device of the fits.
        say: prints a line for the user.
        on_compiled: called with the seconds that compiling the engine for a new shape of INR took.
    """

    manifest: Manifest
    out: Location
    source: Path | None = None
    init: NDArray[np.float32] | None = None
    fitter: Fitter | None = None
    device: str = "cpu"
    say: Callable[[str], None] = lambda line: None
    on_compiled: Callable[[float], None] = lambda seconds: None


def prepare(request: Request, on_read: OnRead) -> Store:
    """Open the store of a manifest for writing; create it if it is absent.

    Raises:
        InrzooError: `out` is not a store, has other settings or another environment, or the disk is too small.
    """
    settings, out = request.manifest, request.out
    if not is_there(out):
        return _create(request, on_read)
    if not (out / "zarr.json").is_file():
        raise InrzooError(f"--out {out} exists and is not a store; give another --out")
    store = open_store(out)
    settings = require_same(store, request)
    request = replace(request, manifest=settings)
    growing = settings.seeds > store.num_seeds
    if settings.seeds < store.num_seeds:
        request.say(f"{out} keeps its {store.num_seeds} seeds; --seeds {settings.seeds} removes none")
    if not store.has_signals and (growing or not all(map(store.is_done, store.blocks()))):
        stage_signals(out, read_signals(store, request.source, on_read).arrays)
        store = open_store(out)
    if growing:
        table = store.signal_table() if settings.init.mode == "fixed" else None
        init_SP = _inits(request, store.inr, store.split, table)
        grow(out, settings.seeds, init_SP)
        store = open_store(out)
    return store


def read_signals(store: Store, source: Path | None, on_read: OnRead) -> SignalTable:
    """Read the signals of a store that does not hold them from their source.

    Raises:
        InrzooError: the store was fitted to other signals.
    """
    settings = Manifest.from_json(store.info.manifest.tables)
    signals = read_source(settings, source)
    table = signal_table(signals, settings, range(len(signals)), on_read=on_read)
    if table.digest(signals.ids) != store.info.signals_sha256:
        raise InrzooError(
            f"the signals at {source or 'the default source'} are not those that {store.path} was fitted to"
        )
    return table


def resolve(request: Request) -> tuple[Signals, INR, Manifest]:
    """Return the signals of a request before decoding, their INR, and the manifest with the chosen engine."""
    settings = request.manifest
    signals = read_source(settings, request.source)
    if request.fitter is not None:
        request.fitter.require(signals, settings.name)
    require_observable(settings, signals)
    inr = inr_of(settings, signals)
    base_Q = inr.base_weights
    if base_Q is not None and len(base_Q) != inr.base_layout.num_params:
        raise InrzooError(
            f"the base was trained for other signals than those of {settings.name}: it has {len(base_Q)} numbers; INRs "
            f"of {inr.in_features} coordinates and {inr.out_features} channels need {inr.base_layout.num_params}"
        )
    if settings.antialias.used:
        require_frequencies(inr, torch.zeros(1, inr.layout.num_params))
    observation: Observation = registry.make("observations", settings.observation)
    observer = observation.observer(extent=settings.coords.extent, value_range=settings.values.range)
    uses = (settings.antialias.used, settings.fit.num_coords is not None, observer)
    begun = time.monotonic()
    engine, reason = fit.choose(settings.fit.engine, inr, request.device, *uses, ready=True)
    if (seconds := time.monotonic() - begun) > COMPILED_SECONDS:
        request.on_compiled(seconds)
    if reason is not None:
        request.say(f"engine: {engine} ({reason})")
    return signals, inr, _with_engine(settings, engine, fit.choose_products(settings.fit.products, engine))


def disk_bytes(settings: Manifest, signals: Signals, inr: INR) -> int:
    """Return the maximum disk space in bytes during a build."""
    row_bytes = len(settings.fit.snapshots) * WeightCodec(settings.weights, inr.layout).row_bytes
    num_bytes = len(signals) * settings.seeds * row_bytes
    # A seed's blocks are removed after its shards are written, so one seed is stored twice for a moment.
    return num_bytes + num_bytes // settings.seeds + signal_bytes(signals)


def signal_bytes(signals: Signals) -> int:
    """Return the size of all arrays of the signals in bytes."""
    sizes = (math.prod(spec.shape) * np.dtype(spec.dtype).itemsize for spec in signals.array_specs.values())
    return len(signals) * sum(sizes)


def _create(request: Request, on_read: OnRead) -> Store:
    settings, out = request.manifest, request.out
    signals, inr, settings = resolve(request)
    request = replace(request, manifest=settings)
    needed = disk_bytes(settings, signals, inr)
    if needed > (free := free_bytes(out)):
        raise InrzooError(f"{out} needs {decimal(needed)}, the disk has {decimal(free)} free")
    staging = {name: scratch(out, name) for name in signals.array_specs}

    def allocate(name: str, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        clear(staging[name])
        return np.lib.format.open_memmap(staging[name], mode="w+", dtype=np.dtype(dtype), shape=shape)

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        table = signal_table(signals, settings, range(len(signals)), allocate=allocate, on_read=on_read)
        init_SP = _inits(request, inr, signals.split, table)
        create_store(out, _contents(request, signals, table, inr, init_SP))
    finally:
        for file in staging.values():
            file.unlink(missing_ok=True)
    return open_store(out)


def signal_table(signals: Signals, settings: Manifest, indices: Sequence[int], **reading: Any) -> SignalTable:
    """Read the arrays of some signals.

    Args:
        signals: of the source.
        settings: what the numbers mean; extremes of the training split are those among `indices`.
        indices: numbers of the signals.
        reading: further arguments of `Signals.read_arrays`.
    """
    rows, arrays = np.asarray(indices), signals.read_arrays(indices, **reading)
    train = signals.split_names.index("train") if "train" in signals.split_names else -1
    ids, valid_N2 = [signals.ids[row] for row in rows], None if signals.valid is None else signals.valid[rows]
    return SignalTable.of(arrays, signals.grid, settings, ids, signals.split[rows] == train, valid_N2)


def _inits(
    request: Request,
    inr: INR,
    split: NDArray[np.uint8],
    table: SignalTable | None,
) -> NDArray[np.float32] | None:
    """Return the shared initial weights of each seed, (S, P), or None if those of signals differ."""
    settings, init_SP = request.manifest, request.init
    if settings.init.mode in ("random", "hypernet"):
        return None
    if settings.init.mode == "file":
        if init_SP is None or init_SP.shape[1] != inr.layout.num_params or len(init_SP) not in (1, settings.seeds):
            size = "none" if init_SP is None else f"{init_SP.shape[0]} of {init_SP.shape[1]} parameters"
            raise InrzooError(
                f"--init must hold 1 or {settings.seeds} weight vectors of {inr.layout.num_params} parameters, "
                f"not {size}"
            )
        return np.ascontiguousarray(np.broadcast_to(init_SP, (settings.seeds, init_SP.shape[1])))
    if settings.init.mode == "shared":
        return np.stack([shared_draw(inr, settings, seed) for seed in range(settings.seeds)])
    assert table is not None
    # Signals are sorted by split, train first. Without a train split all signals are candidates.
    candidates = table[: int((split == 0).sum()) or len(split)]
    drawn = [fixed_start(inr, settings, seed, candidates, request.device) for seed in range(settings.seeds)]
    return np.stack(drawn)


def _contents(
    request: Request, signals: Signals, table: SignalTable, inr: Any, init_SP: NDArray[np.float32] | None
) -> Contents:
    settings = request.manifest
    resolved = settings.to_json()
    sha = table.digest(signals.ids)
    fitter = request.fitter
    observation: Observation = registry.make("observations", settings.observation)
    weight_format = weight_format_of(settings.weights, settings.compress)
    info = StoreInfo(
        dataset=settings.name,
        manifest=RecordedManifest.from_tables(resolved),
        fingerprint=manifest.fingerprint(resolved, sha),
        signals_sha256=sha,
        source_checksums=signals.checksums,
        inr={**resolved["inr"], **{key: getattr(inr, key) for key in manifest.RUNTIME_FIELDS if hasattr(inr, key)}},
        layout=inr.layout,
        grid=signals.grid,
        label_columns=tuple(signals.labels),
        label_names={name: tuple(names) for name, names in signals.label_names.items()},
        split_names=tuple(signals.split_names),
        snapshots=settings.fit.snapshots,
        partition=PartitionRows.choose(len(signals), len(settings.fit.snapshots) * inr.layout.num_params),
        environment=environment(request.device, settings.fit.engine, settings.init.mode == "hypernet"),
        version=inrzoo.__version__,
        fitter=None if fitter is None else FitterInfo(sha256=fitter.sha256, **fitter.metadata),
        axes=signals.axes,
        measures=(*observation.measure_names, *(ROUNDING_MEASURES if settings.weights != "float32" else ())),
        arrays=signals.arrays,
        numbers=tuple(signals.numbers),
        padded=signals.valid is not None,
        skipped=signals.skipped,
        formula=inr.formula(),
        format=format_of(weight_format, inr.base_layout),
        weight_format=weight_format,
        base_layout=inr.base_layout,
    )
    return Contents(
        info=info,
        ids=list(signals.ids),
        split=signals.split,
        labels=signals.labels,
        signals_NKC=table.arrays["signals"],
        publish_signals=settings.redistributable,
        arrays={name: array for name, array in table.arrays.items() if name != "signals"},
        limits_N2=table.limits_N2,
        valid_N2=table.valid_N2,
        numbers=signals.numbers,
        init_SP=init_SP,
        fitter=None if fitter is None else fitter.content,
        base_Q=inr.base_weights,
    )


def _with_engine(settings: Manifest, engine: Any, products: Any) -> Manifest:
    return replace(settings, fit=replace(settings.fit, engine=engine, products=products))


def as_begun(settings: Manifest, store: Store) -> Manifest:
    """Replace `auto` by the engine and products of an existing store, and add how it grew to its limit."""
    recorded, begun = store.info.manifest, store.info.manifest.fit
    known = {key: begun[key] for key in ("engine", "products") if getattr(settings.fit, key) == "auto" and key in begun}
    if settings.limit == recorded.limit:
        settings = replace(settings, earlier_limits=recorded.earlier_limits)
    return replace(settings, fit=replace(settings.fit, **known))


def require_same(store: Store, request: Request) -> Manifest:
    """Refuse to continue a store with other settings or from another environment.

    Returns:
        The request's manifest with `auto` replaced by the store's settings.
    """
    settings = as_begun(request.manifest, store)
    differing = manifest.differences(store.info.manifest.tables, settings.to_json())
    if differing:
        raise InrzooError(
            f"{store.path} was built with other settings ({'; '.join(differing)}); "
            "give another --out, or replace it with --overwrite"
        )
    if settings.compress and not store.info.manifest.compress:
        request.say(f"{store.path} keeps its weights uncompressed; inrzoo convert makes a compressed store")
    if all(map(store.is_done, store.blocks())) and settings.seeds <= store.num_seeds:
        return settings
    require_environment(store, request.device)
    return settings


def require_environment(store: Store, device: str) -> None:
    """Raise InrzooError unless this environment fits the same bits as the one that a store records."""
    differing = environment_differences(store, device)
    if differing:
        raise InrzooError(
            f"{store.path} was fitted in another environment ({'; '.join(differing)}), INRs from this one have other "
            "bits; continue it there, or give another --out"
        )
