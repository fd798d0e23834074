"""Converts finished stores: weights rounded to fewer bits, compressed, or neither.

Everything but the weights, their qualities and the statistics is the same files, hard links where the disk has them.

Shape letters: B INRs of a block, T snapshots, P parameters.
"""

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import get_args

import inrzoo
from inrzoo import manifest, stats
from inrzoo.builder.preparation import read_signals
from inrzoo.builder.rounding import rounded
from inrzoo.builder.worker import one_thread
from inrzoo.choices import WeightType
from inrzoo.errors import InrzooError
from inrzoo.nearest import among
from inrzoo.store import Block, Quality, Store, StoreInfo, open_store, publish_seed
from inrzoo.store.blocks import COLUMNS, MEASURE_PREFIX, write_block
from inrzoo.store.create import create_column, create_weights
from inrzoo.store.finalise import info_of, is_seed_column, open_group
from inrzoo.store.info import ROUNDING_MEASURES, format_of
from inrzoo.store.intact import require_intact
from inrzoo.store.names import is_metadata, is_statistic
from inrzoo.store.new_folder import new_folder
from inrzoo.store.recorded import ConvertedInfo, RecordedManifest
from inrzoo.store.root import change_info
from inrzoo.store.subset import link_or_copy
from inrzoo.store.weight_codec import weight_format_of
from inrzoo.targets import SignalTable

LOG = logging.getLogger("inrzoo.conversion")
OnBlock = Callable[[int, int], None]
"""Called with the numbers of blocks written and of all blocks."""


def convert(
    store: str | Path,
    out: Path,
    *,
    weights: str,
    compress: bool = False,
    source: Path | None = None,
    overwrite: bool = False,
    on_block: OnBlock = lambda done, total: None,
) -> Store:
    """Make a store of the same INRs whose weights are kept in another type, or compressed.

    Rounding is measured: columns of quality are those of the rounded weights, and `psnr_lost` and `rounding_psnr` say
    what it cost. A conversion that rounds nothing keeps every number.

    Args:
        store: a finished store, path or URL. It does not change.
        out: the new store, a folder, which is made whole or not at all; `store` itself with `overwrite`.
        weights: `float32`, `float16`, `bfloat16`, or `int16` or `int8`, which have a scale for each INR and tensor.
        compress: whether to compress the weights, without loss.
        source: local files of the signals, for a store that does not hold them.
        overwrite: whether to replace the store at `out`.
        on_block: called with the progress.

    Returns:
        The new store.

    Raises:
        InrzooError: the type is unknown, or the weights were rounded to another type before; the store is unfinished or
            damaged; its signals are not available; a weight is too large for the type; or `out` exists.
    """
    original = open_store(store)
    info = _info_of(original, weights, compress)
    newly_rounded = info.manifest.weights != original.info.manifest.weights
    table = _signals(original, source) if newly_rounded else None
    row_bytes = original.num_signals * len(original.snapshots) * info.codec.row_bytes
    with new_folder(out, "OUT", overwrite, row_bytes * (original.num_seeds + 1)) as place:
        _copy(original, info, place)
        _write(original, open_store(place), newly_rounded, table, on_block)
        stats.run(open_store(place))
    return open_store(out)


def _info_of(store: Store, weights: str, compress: bool) -> StoreInfo:
    """Return what the new store records of itself before an INR is written."""
    info, types = store.info, get_args(WeightType)
    if weights not in types:
        raise InrzooError(f"--weights {weights} is not allowed{among(weights, types)}")
    if not store.complete:
        raise InrzooError(f"{store.location} is not finished or was pulled in part; convert a complete store")
    rounded_to = info.manifest.weights
    if rounded_to not in ("float32", weights) and weights != "float32":
        origin = f", {info.converted.store}" if info.converted else ""
        raise InrzooError(
            f"--weights {weights} is not allowed: the weights of {store.location} were rounded to {rounded_to} before; "
            f"convert the store with the fitted ones{origin}"
        )
    dtype: WeightType = next(known for known in types if known == weights)
    newly_rounded = rounded_to == "float32" != dtype
    tables = {key: value for key, value in info.manifest.tables.items() if key not in ("weights", "compress")}
    rounding = dtype if rounded_to == "float32" else rounded_to  # what was lost before stays recorded
    tables |= {"weights": rounding} if rounding != "float32" else {}
    tables |= {"compress": True} if compress else {}
    weight_format = weight_format_of(dtype, compress, rounded_to)
    name = store.location if "://" in store.location else Path(store.location).name  # folders are private
    return replace(
        info,
        format=format_of(weight_format, info.base_layout),
        weight_format=weight_format,
        manifest=RecordedManifest.from_tables(tables),
        fingerprint=manifest.fingerprint(tables, info.signals_sha256),
        measures=(*info.measures, *(ROUNDING_MEASURES if newly_rounded else ())),
        converted=ConvertedInfo(store=name, fingerprint=info.fingerprint, version=info.version),
        version=inrzoo.__version__,
        complete=False,
        published_seeds=(),
        checksums={name: digest for name, digest in info.checksums.items() if _is_kept(name) and not is_metadata(name)},
    )


def _is_kept(file: str) -> bool:
    """Whether a file of the store is one of the new store: neither weights nor statistics, nor numbers of a column."""
    array = file.split("/")[0]
    return array != "weights" and not is_statistic(file) and (is_metadata(file) or not is_seed_column(array))


def _signals(store: Store, source: Path | None) -> SignalTable | None:
    """Read the signals of a store that does not hold them; None if it does, or if nobody knows where they are."""
    if store.has_signals:
        return None
    if not store.info.from_source:
        LOG.warning("the signals of %s are not known: the PSNR of the rounded INRs is not, either", store.location)
        return None
    return read_signals(store, source, lambda done, total: None)


def _copy(store: Store, info: StoreInfo, place: Path) -> None:
    """Make the new store, without an INR."""
    if store.cache is None:  # new checksums would hide damage; files of a remote store are checked as they arrive
        require_intact(store.path, store.info, lambda file: not _is_kept(file))
    for file in ["zarr.json", *filter(_is_kept, store.info.checksums)]:
        origin = Path(str(store.path)) / file if store.cache is None else store.cache.fetch(file)
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(origin, place / file, copy=is_metadata(file))
    names = ("format", "weight_format", "manifest", "fingerprint", "measures", "converted", "version", "complete")
    change_info(place, **{name: getattr(info, name) for name in (*names, "published_seeds", "checksums")})
    group = open_group(place)
    created, sizes = info_of(group, place), (store.num_signals, store.num_seeds)
    create_weights(group, created, *sizes)
    for name in info.measures[len(store.info.measures) :]:
        create_column(group, created, f"{MEASURE_PREFIX}{name}", *sizes)


def _write(store: Store, new: Store, newly_rounded: bool, table: SignalTable | None, on_block: OnBlock) -> None:
    """Write every INR. Blocks are converted on all cores, each by one thread, so that bits do not depend on cores."""
    codec, number, total = new.info.codec, 0, len(new.blocks())
    columns = {name: getattr(store, name) for name in COLUMNS}

    def one(block: Block) -> None:
        rows = new.partition.rows(block.index)
        weights_BTP = store.weights[rows.start : rows.stop, block.seed]
        quality = Quality(
            **{name: values[rows, block.seed] for name, values in columns.items()},
            measures={name: values[rows, block.seed] for name, values in store.measures.items()},
        )
        if newly_rounded:
            targets = new.targets(rows) if new.has_signals else None if table is None else table.targets(rows)
            weights_BTP, quality = rounded(new, targets, weights_BTP, quality)
        write_block(new.path, block, codec.encode(weights_BTP), quality)

    on_block(0, total)
    with one_thread(), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for seed in range(new.num_seeds):
            blocks = [block for block in new.blocks() if block.seed == seed]
            for _ in pool.map(one, blocks):
                number += 1
                on_block(number, total)
            publish_seed(new.path, seed)
            store.weights.release()
