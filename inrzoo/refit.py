"""Fits INRs of a store again and compares them with the stored ones, which shows whether the store is reproducible.

Shape letters: N signals, T snapshots, P parameters, K coordinates, C channels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from inrzoo.builder.preparation import read_signals
from inrzoo.builder.worker import environment_differences, fit_rows
from inrzoo.errors import InrzooError
from inrzoo.fit.batches import batch_size
from inrzoo.store import Store, open_store


@dataclass(frozen=True)
class Refit:
    """The comparison of a new fit with the stored INR.

    Attributes:
        signal, seed: numbers of the INR.
        bit_equal: whether every weight of every snapshot has the same bits.
        difference: root-mean-square difference of the two functions on the fitting grid, relative to the value range;
            the maximum of the snapshots.
        allowed: maximum difference: 0 in the environment that fitted the store; in another one twice the stored INR's
            root-mean-square error, within which the quality cannot distinguish two fits.
    """

    signal: int
    seed: int
    bit_equal: bool
    difference: float
    allowed: float

    @property
    def passed(self) -> bool:
        """True if the difference is allowed."""
        return self.bit_equal or self.difference <= self.allowed


@dataclass(frozen=True)
class Refits:
    """The comparisons of several INRs.

    Attributes:
        refits: one comparison for each INR.
        elsewhere: differences of this environment from that of the store; if empty, the bits must agree.
    """

    refits: list[Refit]
    elsewhere: list[str]


def refit(
    path: str | Path,
    count: int,
    *,
    source: Path | None = None,
    device: str = "cpu",
    draw: int | None = None,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> Refits:
    """Fit `count` randomly chosen finished INRs again, in their original batches, which decide how products round.

    Args:
        path: the store.
        count: number of INRs.
        source: local files of the signals, for a store that does not hold them.
        device: device of the fits.
        draw: seed of the choice; random if None.
        on_done: called with the numbers of finished and of all INRs.

    Raises:
        InrzooError: no INR is finished, or `count` is below 1.
    """
    store = open_store(path)
    finished = np.argwhere(store.status != store.info.status_names.index("pending"))
    if count < 1 or not len(finished):
        raise InrzooError(
            f"--refit {count} is not possible with {len(finished)} finished INRs; both must be at least 1"
        )
    elsewhere = environment_differences(store, device)
    table = None if store.has_signals else read_signals(store, source, lambda done, total: None)
    chosen = np.random.default_rng(draw).permutation(finished)[:count]
    refits: list[Refit] = []
    for signal, seed in sorted(chosen.tolist()):
        rows = _batch_of(store, signal, device)
        targets = store.targets(rows) if table is None else table.targets(rows)
        weights_BTP, _ = fit_rows(store, rows, seed, device, targets)
        number = signal - rows.start
        coords = targets.coords if targets.shared_coords else targets.coords[number]
        refits.append(_compare(store, signal, seed, weights_BTP[number], coords, bool(elsewhere)))
        on_done(len(refits), len(chosen))
    return Refits(refits, elsewhere)


def _batch_of(store: Store, signal: int, device: str) -> slice:
    """Return the rows of the batch in which a signal was fitted."""
    block = store.partition.rows(signal // store.partition.block_rows)
    points = store.settings.fit.num_coords or math.prod(store.info.grid)
    batch = batch_size(store.inr, points, device, store.observation.evaluations)
    start = block.start + (signal - block.start) // batch * batch
    return slice(start, min(start + batch, block.stop))


def _compare(
    store: Store, signal: int, seed: int, weights_TP: np.ndarray, coords: np.ndarray, elsewhere: bool
) -> Refit:
    stored_TP = store.weights[signal, seed]
    where = torch.from_numpy(coords)
    if coords.ndim == 2 and store.observer is not None:
        where = where.expand(len(stored_TP), *coords.shape)
    with torch.inference_mode():
        stored, again = (store.predict(torch.from_numpy(weights), where) for weights in (stored_TP, weights_TP))
    width = store.value_range[1] - store.value_range[0]
    difference = (again - stored).square().mean(dim=(1, 2)).sqrt() / width
    own_error = float(np.sqrt(np.nanmax(store.loss[signal, seed]))) / width
    return Refit(
        signal=signal,
        seed=seed,
        bit_equal=stored_TP.tobytes() == weights_TP.tobytes(),
        difference=float(difference.max()),
        allowed=2 * own_error if elsewhere else 0.0,
    )
