"""Writes a gathering as a new store, whole or not at all.

Shape letters: N signals, S seeds, P parameters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo import stats
from inrzoo.gather.parts import Gathering, Part
from inrzoo.gather.records import info_of
from inrzoo.store import Contents, Quality, Store, create_store, open_store, publish_seed
from inrzoo.store.blocks import COLUMNS, MEASURE_PREFIX, write_block
from inrzoo.store.new_folder import new_folder
from inrzoo.targets import SignalTable

OnBlock = Callable[[int, int], None]
"""Called with the numbers of blocks written and of all blocks."""


def write(gathering: Gathering, out: Path, overwrite: bool, on_block: OnBlock) -> Store:
    """Write a gathering beside `out`, and put it there when it is complete.

    Raises:
        InrzooError: `out` exists and is not to be overwritten, or is no store; or the disk is too small.
    """
    with new_folder(out, "--out", overwrite, _num_bytes(gathering)) as place:
        _write(gathering, place, out.stem, on_block)
    return open_store(out)


def _num_bytes(gathering: Gathering) -> int:
    """Return the maximum size of the new store while it is written."""
    (num_signals, seeds), first = gathering.shape, gathering.first
    seed_bytes = num_signals * len(gathering.snapshots) * first.info.codec.row_bytes
    # A seed's blocks stay until its shards are written.
    signals = sum(int(np.prod(array.shape)) * array.dtype.itemsize for array in gathering.arrays().values())
    return seed_bytes * (seeds + 1) + (signals if _have_signals(gathering) else 0)


def _write(gathering: Gathering, path: Path, name: str, on_block: OnBlock) -> None:
    create_store(path, _contents(gathering, name))
    store = open_store(path)
    columns = {column: gathering.column(column) for column in COLUMNS}
    measures = {measure: gathering.column(f"{MEASURE_PREFIX}{measure}") for measure in store.info.measures}
    blocks = store.blocks()
    on_block(0, len(blocks))
    for number, block in enumerate(blocks, start=1):
        rows = store.partition.rows(block.index)
        quality = Quality(
            **{column: values[rows, block.seed] for column, values in columns.items()},
            measures={measure: values[rows, block.seed] for measure, values in measures.items()},
        )
        write_block(path, block, store.info.codec.encode(gathering.weights(rows, block.seed)), quality)
        if number == len(blocks) or blocks[number].seed != block.seed:
            publish_seed(path, block.seed)
            for part in gathering.parts:
                part.store.weights.release()
        on_block(number, len(blocks))
    stats.run(open_store(path))


def _contents(gathering: Gathering, name: str) -> Contents:
    first, has_signals = gathering.first, _have_signals(gathering)
    ids = [part.store.signal_ids[row] for part in gathering.of_signals for row in part.signals.tolist()]
    limits_N2, valid_N2 = (_pairs(gathering, pairs) for pairs in ("limits", "valid"))
    arrays = dict(gathering.arrays())
    if has_signals:
        table = SignalTable(
            arrays=arrays,
            grid=first.info.grid,
            scale=first.info.manifest.values,
            coords=first.info.manifest.coords,
            observation=first.observation,
            limits_N2=limits_N2,
            valid_N2=valid_N2,
        )
        digest = table.digest(ids)
    else:
        digest = _digest(gathering, ids)
    split_names, split_N = _reconciled(
        gathering, lambda part: part.store.info.split_names, lambda part: part.store.split, only_used=True
    )
    labels = {column: _labels(gathering, column) for column in first.info.label_columns}
    label_names = {column: names for column, (names, _) in labels.items()}
    # A store stages signals until it is complete; a zero for each signal replaces those that are not there.
    signals_NKC = arrays.pop("signals") if has_signals else np.zeros((len(ids), 1, 1), dtype=np.uint8)
    return Contents(
        info=info_of(gathering, name, digest, split_names, label_names),
        ids=ids,
        split=split_N.astype(np.uint8),
        labels={column: codes for column, (_, codes) in labels.items()},
        signals_NKC=signals_NKC,
        publish_signals=has_signals,
        arrays=arrays if has_signals else {},
        limits_N2=limits_N2,
        valid_N2=valid_N2,
        numbers={each: _numbers(gathering, each) for each in first.info.numbers},
        init_SP=_starts(gathering),
        fitter=first.fitter,
        base_Q=first.base,
    )


def _reconciled(
    gathering: Gathering,
    names_of: Callable[[Part], Sequence[str]],
    codes_of: Callable[[Part], NDArray[Any]],
    only_used: bool = False,
) -> tuple[list[str], NDArray[np.int64]]:
    """Return the names of all parts, and the codes of these names, (N,)."""
    parts = gathering.of_signals
    chosen = [(names_of(part), np.asarray(codes_of(part), dtype=np.int64)[part.signals]) for part in parts]
    listed = [name for names, codes in chosen for code, name in enumerate(names) if not only_used or code in codes]
    number_of = {name: number for number, name in enumerate(dict.fromkeys(listed))}
    tables = [np.array([number_of.get(name, 0) for name in names], dtype=np.int64) for names, _ in chosen]
    return list(number_of), np.concatenate([table[codes] for table, (_, codes) in zip(tables, chosen, strict=True)])


def _labels(gathering: Gathering, column: str) -> tuple[list[str], NDArray[np.int64]]:
    return _reconciled(
        gathering, lambda part: part.store.info.label_names[column], lambda part: part.store.labels[column]
    )


def _numbers(gathering: Gathering, name: str) -> NDArray[Any]:
    return gathering.per_signal(lambda part: part.store.numbers[name][part.signals])


def _pairs(gathering: Gathering, name: str) -> NDArray[Any] | None:
    if getattr(gathering.first, name) is None:
        return None
    return gathering.per_signal(lambda part: getattr(part.store, name)[part.signals])


def _starts(gathering: Gathering) -> NDArray[np.float32] | None:
    starts = [None if part.store.init is None else part.store.init[part.seeds] for part in gathering.parts]
    known = [start for start in starts if start is not None]
    return None if not known else known[0] if gathering.axis == 0 else np.concatenate(known)


def _have_signals(gathering: Gathering) -> bool:
    return all(part.store.has_signals for part in gathering.of_signals)


def _digest(gathering: Gathering, ids: Sequence[str]) -> str:
    """Return a sha256 of signals that are not there: of their ids and of the digests of the stores."""
    digests = [part.store.info.signals_sha256 for part in gathering.of_signals]
    if len(gathering.of_signals) == 1 and len(ids) == gathering.first.num_signals:
        return digests[0]
    return hashlib.sha256("\n".join([*digests, *ids]).encode()).hexdigest()
