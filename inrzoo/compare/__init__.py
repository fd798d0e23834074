"""Compares two stores: settings, environment, signals, labels, and the INRs that both hold.

Signals are matched by their origin (`signal_id`), seeds by their number and snapshots by their step count: a store and
one with more signals or seeds, or with other snapshots, are compared in what both have.

Shape letters: N signals of a store, M signals that both stores have, S seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inrzoo import manifest
from inrzoo.compare.deviation import Deviation
from inrzoo.compare.matching import BATCH_BYTES, common_signals, of_labels, of_signals
from inrzoo.differences import differences
from inrzoo.store import Store
from inrzoo.store.files import is_local

__all__ = ["StoreDifferences", "as_text", "common_signals", "compare", "of_labels", "of_signals"]

OnBatch = Callable[[int, int], None]
"""Called with the numbers of INRs compared and of all INRs."""


@dataclass
class StoreDifferences:
    """What differs between two stores.

    Attributes:
        a, b: the stores.
        lines: part of a store -> its differences, one line each; parts without differences are left out.
        weights: the weights of INRs that both stores hold; None if their layouts differ.
        psnr: their PSNRs, in dB.
    """

    a: str
    b: str
    lines: dict[str, list[str]] = field(default_factory=dict)
    weights: Deviation | None = None
    psnr: Deviation = field(default_factory=Deviation)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        fits = [self.psnr] if self.weights is None else [self.weights, self.psnr]
        return not self.lines and all(each.bit_equal == each.compared for each in fits)

    def to_json(self) -> dict[str, Any]:
        """All fields and `same`, as JSON types."""
        return {"same": self.same, **asdict(self)}


def compare(a: Store, b: Store, on_batch: OnBatch = lambda done, total: None) -> StoreDifferences:
    """Compare two stores; a few megabytes of each are read at a time.

    Args:
        on_batch: called with the progress.

    Raises:
        InrzooError: a store is damaged or cannot be reached.

    Example:
        >>> from inrzoo.compare import compare
        >>> store = inrzoo.open_store("digits.zarr")
        >>> compare(store, store).same
        True
    """
    rows_a, rows_b = common_signals(a, b)
    common, steps = _in_both(a, b, rows_a, rows_b), _common_steps(a, b)
    parts = {
        **_of_settings(a, b),
        "environment": differences(_environment(a), _environment(b)),
        "state": differences(_state(a), _state(b)),
        "signals": of_signals(a, b, rows_a, rows_b),
        "labels": of_labels(a, b, rows_a, rows_b),
        "seeds": differences(_seeds(a), _seeds(b)),
        "snapshots": differences({"steps": a.snapshots}, {"steps": b.snapshots}),
        "fits": _of_columns(a, b, rows_a, rows_b, common, steps),
    }
    found = StoreDifferences(a.location, b.location, {part: lines for part, lines in parts.items() if lines})
    for seed in range(common.shape[1]):
        psnr_a, psnr_b = a.psnr[rows_a, seed][:, steps[0]], b.psnr[rows_b, seed][:, steps[1]]
        found.psnr.add(*(psnr[common[:, seed]].reshape(-1, 1) for psnr in (psnr_a, psnr_b)))
    if a.layout == b.layout:
        found.weights = Deviation()
        done, total = 0, int(common.sum())
        for seed, batch in _batches(a, b, rows_a, common):
            of_a, of_b = (
                store.weights[rows[batch], seed, at].reshape(-1, a.layout.num_params)
                for store, rows, at in ((a, rows_a, steps[0]), (b, rows_b, steps[1]))
            )
            found.weights.add(of_a, of_b)
            done += len(batch)
            on_batch(done, total)
    return found


def as_text(found: StoreDifferences) -> str:
    """Format the differences as text, in the manner of `diff`."""
    weights, psnr = found.weights, found.psnr
    inrs = f"{psnr.compared:,} INRs in both"
    if found.same and weights is not None:
        return f"{found.a} and {found.b} are the same: {inrs}, equal to the bit"
    lines = [f"--- {found.a}", f"+++ {found.b}"]
    for part, of_part in found.lines.items():
        lines += [part, *(f"  {line}" for line in of_part)]
    lines.append(f"{inrs} (each snapshot counts)")
    if weights is None:
        lines.append("  weights: not compared, their layouts differ")
    elif weights.compared:
        lines.append(f"  weights: {_figures(weights, '')}")
    if psnr.compared:
        lines.append(f"  PSNR: {_figures(psnr, ' dB')}")
    return "\n".join(lines)


def _figures(deviation: Deviation, unit: str) -> str:
    left_out = f"; {deviation.not_finite:,} hold infinite numbers or NaN" if deviation.not_finite else ""
    return (
        f"{deviation.bit_equal:,} equal to the bit, largest difference {deviation.largest:.3g}{unit}, "
        f"RMS difference {deviation.rms:.3g}{unit}{left_out}"
    )


# --- what a store records --------------------------------------------------------------------------------------


def _of_settings(a: Store, b: Store) -> dict[str, list[str]]:
    """Settings that decide the INRs, then the others, such as the title; then what INRs and their grids are."""
    ours, theirs = (manifest.without_defaults(store.info.manifest.tables) for store in (a, b))
    settings = manifest.differences(ours, theirs)
    # Earlier stores lack keys that are none today, such as the recipe.
    ours, theirs = ({key: value for key, value in tables.items() if value is not None} for tables in (ours, theirs))
    everything = differences(ours, theirs, ignored=("seeds",))
    network = differences(*(manifest.without_defaults({"inr": store.info.inr, **_layout(store)}) for store in (a, b)))
    return {
        "settings": settings,
        "description": [line for line in everything if line not in settings],
        "INR": [line for line in network if line not in settings],
        "grid": differences(_grid(a), _grid(b)),
    }


def _layout(store: Store) -> dict[str, Any]:
    return {"layout": {tensor["name"]: tensor for tensor in store.layout.to_json()}}


def _grid(store: Store) -> dict[str, Any]:
    info = store.info
    arrays = {name: [list(spec.shape), spec.dtype] for name, spec in info.arrays.items()}
    return {"points": list(info.grid), "axes": [asdict(axis) for axis in info.axes], "arrays": arrays}


def _environment(store: Store) -> dict[str, Any]:
    return {"inrzoo": store.info.version, **store.info.environment}


def _seeds(store: Store) -> dict[str, Any]:
    return {"seeds": store.num_seeds, "finished INRs": int(_done(store).sum())}


def _state(store: Store) -> dict[str, Any]:
    info = store.info
    fitter = {} if info.fitter is None else {"hypernetwork": info.fitter.sha256}
    imported = {} if info.imported is None else {"imported": info.imported.sha256}
    return {
        "complete": store.complete,
        **({"splits": list(info.partial)} if info.partial else {}),
        **({"skipped files": list(info.skipped)} if info.skipped else {}),
        **fitter,
        **imported,
        **({} if info.generated is None else {"generated by": asdict(info.generated)}),
        **({} if info.gathered is None else {"gathered from": [part.fingerprint for part in info.gathered.parts]}),
    }


# --- INRs ------------------------------------------------------------------------------------------------------


def _done(store: Store) -> NDArray[np.bool_]:
    """Whether an INR was fitted, (N, S), diverged ones too."""
    return ~np.isin(store.status, store.info.status_codes("pending"))


def _in_both(a: Store, b: Store, rows_a: NDArray[np.int64], rows_b: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether both stores hold an INR of a signal and a seed, (M, S)."""
    seeds = min(a.num_seeds, b.num_seeds)
    return _done(a)[rows_a, :seeds] & _done(b)[rows_b, :seeds]


def _common_steps(a: Store, b: Store) -> tuple[list[int], list[int]]:
    """Places of the common snapshots on the step axis of each."""
    common = [step for step in a.snapshots if step in b.snapshots]
    return [a.snapshots.index(step) for step in common], [b.snapshots.index(step) for step in common]


def _of_columns(
    a: Store,
    b: Store,
    rows_a: NDArray[np.int64],
    rows_b: NDArray[np.int64],
    both: NDArray[np.bool_],
    steps: tuple[list[int], list[int]],
) -> list[str]:
    """How many INRs in both have another status, loss, …; PSNRs are compared by themselves."""
    steps_a, steps_b = steps
    seeds, lines = slice(both.shape[1]), differences({"measures": list(a.measures)}, {"measures": list(b.measures)})
    names = {name: (a.measures[name], b.measures[name]) for name in a.measures if name in b.measures}
    columns: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {
        "status": (a.status, b.status),
        "steps": (a.steps, b.steps),
        "loss": (a.loss, b.loss),
        **names,
    }
    for name, (column_a, column_b) in columns.items():
        ours, theirs = column_a[rows_a, seeds], column_b[rows_b, seeds]
        if ours.ndim == 3:
            ours, theirs = ours[:, :, steps_a], theirs[:, :, steps_b]
        equal = (ours == theirs) | ((ours != ours) & (theirs != theirs))  # NaN is equal to NaN
        unequal = int((~equal.reshape(*both.shape, -1).all(axis=2) & both).sum())
        if unequal:
            lines.append(f"{unequal:,} of {int(both.sum()):,} fits in both have another {name}")
    return lines


def _batches(
    a: Store, b: Store, rows_a: NDArray[np.int64], common: NDArray[np.bool_]
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """(seed, which of the M signals) of INRs in both; what was mapped is released whenever a shard of `a` ends."""
    row_bytes = 4 * max(len(store.snapshots) for store in (a, b)) * a.layout.num_params
    rows = max(1, BATCH_BYTES // row_bytes)
    for seed in range(common.shape[1]):
        members = np.flatnonzero(common[:, seed])
        shards = rows_a[members] // a.partition.shard_rows
        for shard in np.unique(shards):
            of_shard = members[shards == shard]
            for start in range(0, len(of_shard), rows):
                yield seed, of_shard[start : start + rows]
            for store in (a, b):
                if is_local(store.path):  # a bucket's shards are in memory, a few at most
                    store.weights.release()
