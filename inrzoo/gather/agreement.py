"""Decides whether stores can become one, and along which axis.

Shape letters: N signals.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import Status
from inrzoo.compare import common_signals, of_labels, of_signals
from inrzoo.differences import differences
from inrzoo.errors import InrzooError
from inrzoo.manifest import NOT_IN_FINGERPRINT, without_defaults
from inrzoo.store import Store

NOT_IN_INRS = (*NOT_IN_FINGERPRINT, "name", "limit", "source", "fit.sha256", "gathered")
"""Keys of a manifest that say which INRs there are, and nothing of how they came about. `fit.sha256` is of imported
files."""


def require_one_setting(stores: Sequence[Store]) -> None:
    """Raise InrzooError unless the INRs of all stores mean the same and were fitted with the same settings."""
    first = stores[0]
    for other in stores[1:]:
        settings = (without_defaults(store.info.manifest.tables) for store in (first, other))
        lines = differences(*settings, ignored=NOT_IN_INRS, width=60)
        if lines := lines or differences(_recorded(first), _recorded(other), width=60):
            raise InrzooError(
                f"{first.location} and {other.location} cannot become one store, they differ in {'; '.join(lines)}"
            )


def _recorded(store: Store) -> dict[str, Any]:
    """Return what two stores must record alike, beside their manifests."""
    info = store.info
    return {
        **without_defaults({"inr": info.inr}),
        "layout": {tensor["name"]: tensor for tensor in store.layout.to_json()},
        "grid": list(info.grid),
        "axes": [asdict(axis) for axis in info.axes],
        "views": store.snapshots,
        "measures": list(info.measures),
        "arrays": {name: [list(spec.shape), spec.dtype] for name, spec in info.arrays.items()},
        "numbers": list(info.numbers),
        "padded": info.padded,
        "labels": list(info.label_columns),
        "hypernetwork": None if info.fitter is None else info.fitter.sha256,
        "imported": None if info.imported is None else info.imported.convention,
    }


def shared_axis(stores: Sequence[Store]) -> tuple[Literal[0, 1], list[NDArray[np.int64]]]:
    """Return the axis along which stores follow each other, and the signals of each in the order of the new store.

    0 is that of signals, for stores without a common signal, and 1 that of seeds, for stores of the same signals.

    Raises:
        InrzooError: some signals are common, and some are not; or the stores do not fit along the axis.
    """
    first = stores[0]
    common = [common_signals(first, other) for other in stores[1:]]
    sizes = {first.num_signals, *(store.num_signals for store in stores), *(len(rows) for rows, _ in common)}
    if len(sizes) == 1:
        orders = [np.arange(first.num_signals), *(theirs[np.argsort(ours)] for ours, theirs in common)]
        for (ours, theirs), other in zip(common, stores[1:], strict=True):
            _require_same_signals(first, other, ours, theirs)
        _require_other_fits(stores, orders)
        return 1, orders
    for number, other in enumerate(stores[1:], start=1):
        for earlier in stores[:number]:
            shared = len(common_signals(earlier, other)[0])
            if shared:
                raise InrzooError(
                    f"{earlier.location} and {other.location} share {shared:,} of {earlier.num_signals:,} and "
                    f"{other.num_signals:,} signals; stores become one if they share all of them or none: choose some "
                    "with inrzoo subset"
                )
        _require_same_starts(first, other)
    return 0, [np.arange(store.num_signals) for store in stores]


def _require_same_signals(a: Store, b: Store, rows_a: NDArray[np.int64], rows_b: NDArray[np.int64]) -> None:
    changed = [line for line in of_signals(a, b, rows_a, rows_b) if "another order" not in line]
    if a.info.signals_sha256 != b.info.signals_sha256 and a.has_signals and b.has_signals:
        changed = [line for line in changed if not line.startswith("sha256")]  # of their order, too
    changed += [line for line in of_labels(a, b, rows_a, rows_b) if line[0].isdigit()]  # "3 signals have another …"
    if changed:
        raise InrzooError(f"{a.location} and {b.location} name the same signals, which differ: {'; '.join(changed)}")


def _require_other_fits(stores: Sequence[Store], orders: Sequence[NDArray[np.int64]]) -> None:
    """Refuse two seeds with the same weights of the first signal that all seeds have."""
    pairs = zip(stores, orders, strict=True)
    done_N = np.all([(store.status[rows] != Status.PENDING).all(axis=1) for store, rows in pairs], axis=0)
    seen: dict[bytes, str] = {}
    for row in np.flatnonzero(done_N)[:1].tolist():
        for store, order in zip(stores, orders, strict=True):
            for seed in range(store.num_seeds):
                weights = np.ascontiguousarray(store.weights[int(order[row]), seed, -1])
                name = f"seed {seed} of {store.location}"
                digest = hashlib.sha256(weights.data).digest()
                if (other := seen.get(digest)) is not None:
                    raise InrzooError(f"{other} and {name} hold the same INRs; cut one out with inrzoo subset --seeds")
                seen[digest] = name


def _require_same_starts(first: Store, other: Store) -> None:
    if first.num_seeds != other.num_seeds:
        fewer, more = sorted((first, other), key=lambda store: store.num_seeds)
        raise InrzooError(
            f"{fewer.location} has {fewer.num_seeds} seeds and {more.location} {more.num_seeds}; cut the latter with "
            f"inrzoo subset {more.location} --seeds 0:{fewer.num_seeds}"
        )
    ours, theirs = first.init, other.init
    same = ours is theirs if ours is None or theirs is None else np.array_equal(ours, theirs)
    if not same:
        raise InrzooError(
            f"all INRs of a seed start at the same weights, in {other.location} at others than in {first.location}"
        )
