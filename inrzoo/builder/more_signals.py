"""Growth in signals: a larger limit, or more files in the source. INRs that were fitted stay to the bit.

Signals are sorted by split, so new ones come between old ones. The grown store is therefore built beside the old one,
as by `--overwrite`, and takes its place when it is complete; INRs that the old one has are copied, not fitted.

Shape letters: N signals.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from inrzoo import manifest
from inrzoo.builder.known import grow_from
from inrzoo.builder.preparation import Request, as_begun, require_environment
from inrzoo.choices import INR_BY_INR
from inrzoo.errors import InrzooError
from inrzoo.sources import Signals
from inrzoo.store import Store, open_store
from inrzoo.store.files import remove_tree
from inrzoo.store.intact import require_intact
from inrzoo.unfitted import read_source

JOIN = "give the new signals another --out and join the two with inrzoo merge"


def more_signals(request: Request) -> tuple[Request, bool]:
    """Find out whether a request asks for signals that the finished store at its place lacks.

    Only a larger limit, or a source that was named, is looked at: a finished store needs no source.

    Returns:
        The request, with the settings of the grown store; and whether there are more signals.

    Raises:
        InrzooError: there are, and the store cannot grow without a change of what it has; nothing was changed.
    """
    out, settings = request.out, request.manifest
    if not isinstance(out, Path) or not (out / "zarr.json").is_file():
        return request, False
    store = open_store(out)
    recorded, settings = store.info.manifest, as_begun(request.manifest, store)
    limit, limit_then = settings.limit, recorded.limit
    larger = limit_then is not None and (limit is None or limit > limit_then)
    if not larger and (request.source is None or settings.limit != recorded.limit or not store.complete):
        return request, False
    before = replace(settings, limit=recorded.limit, earlier_limits=recorded.earlier_limits)
    if manifest.differences(recorded.tables, before.to_json()):
        return request, False  # they are refused, with their names, where the store is prepared
    if not store.complete:
        raise InrzooError(f"{out} is not finished; finish it with --limit {limit_then} before it grows")
    if not store.info.from_source:
        raise InrzooError(f"{out} was not built from a source and gets no signals from one; {JOIN}")
    if limit is not None and limit_then is not None and larger:
        settings = replace(settings, earlier_limits=(*recorded.earlier_limits, limit_then))
    settings = replace(settings, seeds=max(settings.seeds, store.num_seeds))
    signals = read_source(settings, request.source)
    _require_superset(store, signals)
    if len(signals) == store.num_signals:
        if larger:
            request.say(f"{out} has all {store.num_signals} signals of its source; it stays as it is")
        return replace(request, manifest=replace(before, seeds=request.manifest.seeds)), False
    _require_growable(store, request.device)
    request.say(f"{out} gets {len(signals) - store.num_signals} more signals and keeps its {store.num_signals}")
    return replace(request, manifest=settings), True


def begin(new: Store, out: Path) -> None:
    """Let the workers of a new store copy the INRs of the finished store at `out`.

    Raises:
        InrzooError: its signals are not those that they were; the new store is removed.
    """
    old = open_store(out)
    row_of = {name: row for row, name in enumerate(new.signal_ids)}
    rows = np.array([row_of[name] for name in old.signal_ids])
    same_start = (
        new.init is None if old.init is None else np.array_equal(np.asarray(new.init)[: len(old.init)], old.init)
    )
    same_inr = (new.info.grid, new.info.inr, new.layout) == (old.info.grid, old.info.inr, old.layout)
    if not same_inr or new.signal_table(rows).digest(old.signal_ids) != old.info.signals_sha256 or not same_start:
        remove_tree(new.path)
        raise InrzooError(
            f"the {old.num_signals} signals of {out} would be fitted to other values than before: their files, their "
            f"grid or their common range have changed; {JOIN}, or replace the store with --overwrite"
        )
    grow_from(new, out)


def _require_superset(store: Store, signals: Signals) -> None:
    """Raise InrzooError unless all signals of a store are among others, in the same splits."""
    row_of = {name: row for row, name in enumerate(signals.ids)}
    gone = [name for name in store.signal_ids if name not in row_of]
    if gone:
        raise InrzooError(
            f"{len(gone)} of {store.num_signals} signals of {store.location} are not among the {len(signals)} of the "
            f"source with these settings ({gone[0]}); a store gets signals and loses none: give another --out"
        )
    moved = [
        (name, before, after)
        for row, name in enumerate(store.signal_ids)
        for before in [store.info.split_names[store.split[row]]]
        for after in [signals.split_names[signals.split[row_of[name]]]]
        if before != after
    ]
    if moved:
        name, before, after = moved[0]
        raise InrzooError(
            f"the splits of {len(moved)} of {store.num_signals} signals of {store.location} would change ({name}: "
            f"{before} → {after}): with more signals they are drawn anew; {JOIN}"
        )


def _require_growable(store: Store, device: str) -> None:
    """Raise InrzooError unless new INRs leave the bits of old ones, and what a new fit of them gives, as they are."""
    engine, mode = store.settings.fit.engine, store.settings.init.mode
    if engine not in INR_BY_INR:
        raise InrzooError(
            f"{store.location} cannot get more signals: its engine, {engine}, fits INRs together, so that their bits "
            f"depend on their neighbours; {JOIN}"
        )
    if mode in ("fixed", "hypernet"):
        raise InrzooError(f"{store.location} cannot get more signals: its starts (init.mode = {mode}) depend on all")
    require_environment(store, device)
    assert isinstance(store.path, Path)
    require_intact(store.path, store.info)  # copies would get new checksums, which hide damage
