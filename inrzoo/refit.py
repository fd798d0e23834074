"""Fits INRs again from what a store records, and compares: can the store's weights be made again?

Shape letters: N signals, T snapshots, P parameters, K coordinates, C channels.
"""

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
    """One INR, fitted again.

    Attributes:
        signal, seed: which one.
        bit_equal: whether every weight of every snapshot has the same bits.
        difference: root-mean-square difference of the two functions on the fitting grid, as a share of the value range,
            the largest over the snapshots.
        allowed: what it may be: 0 in the environment that fitted the store; elsewhere twice the stored INR's own
            root-mean-square error, within which two fits of one signal cannot be told apart by how well they fit.
    """

    signal: int
    seed: int
    bit_equal: bool
    difference: float
    allowed: float

    @property
    def passed(self) -> bool:
        """Whether the INR is what the store says it is."""
        return self.bit_equal or self.difference <= self.allowed


@dataclass(frozen=True)
class Refits:
    """INRs fitted again, and whether the bits had to agree.

    Attributes:
        refits: one each.
        elsewhere: keys in which this environment differs from the one that fitted the store; empty: bits must agree.
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
    """Fit `count` randomly chosen finished INRs again.

    An INR is fitted in the batch that it was fitted in, because batched products round differently in another.

    Args:
        source: local files with the signals, for a store that does not hold them.
        draw: seed of the choice; a new one each time if None.

    Raises:
        InrzooError: no INR is finished, or a count below 1.
    """
    store = open_store(path)
    finished = np.argwhere(store.status != store.info.status_names.index("pending"))
    if count < 1 or not len(finished):
        raise InrzooError(
            f"--refit = {count} is not possible with {len(finished)} finished INRs; both must be at least 1"
        )
    elsewhere = environment_differences(store, device)
    signals_NKC = None if store.has_signals else read_signals(store, source, lambda done, total: None)
    chosen = np.random.default_rng(draw).permutation(finished)[:count]
    refits: list[Refit] = []
    for signal, seed in sorted(chosen.tolist()):
        rows = _batch_of(store, signal, device)
        given = None if signals_NKC is None else signals_NKC[rows]
        weights_BTP, _ = fit_rows(store, rows, seed, device, given)
        refits.append(_compare(store, signal, seed, weights_BTP[signal - rows.start], bool(elsewhere)))
        on_done(len(refits), len(chosen))
    return Refits(refits, elsewhere)


def _batch_of(store: Store, signal: int, device: str) -> slice:
    """The batch that a signal was fitted in."""
    block = store.partition.rows(signal // store.partition.block_rows)
    batch = batch_size(store.inr, len(store.coords()), device)
    start = block.start + (signal - block.start) // batch * batch
    return slice(start, min(start + batch, block.stop))


def _compare(store: Store, signal: int, seed: int, weights_TP: np.ndarray, elsewhere: bool) -> Refit:
    stored_TP = store.weights[signal, seed]
    coords_KD = torch.from_numpy(store.coords())
    with torch.inference_mode():
        stored, again = (store.inr(torch.from_numpy(weights), coords_KD) for weights in (stored_TP, weights_TP))
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
