"""Choosing INRs by their quality.

Shape letters: N signals, S seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inrzoo.choices import USABLE_STATUS
from inrzoo.errors import InrzooError
from inrzoo.keywords import keywords_checked
from inrzoo.nearest import among

if TYPE_CHECKING:
    from inrzoo.store.reader import Store


@keywords_checked
def select(
    store: Store,
    *,
    min_psnr: float | None = None,
    max_loss: float | None = None,
    max_steps: int | None = None,
    max_out_of_band: float | None = None,
    max_frequency: float | None = None,
    min_exact: float | None = None,
    min_measures: Mapping[str, float] | None = None,
    max_measures: Mapping[str, float] | None = None,
    status: Sequence[str] = USABLE_STATUS,
    split: str | None = None,
    step: int = -1,
) -> NDArray[np.bool_]:
    """Which INRs meet every condition that is given, at one snapshot.

    Args:
        min_psnr: dB.
        max_loss: mean squared error.
        max_steps: optimiser steps taken.
        max_out_of_band: share of spectral energy outside the Nyquist box, 0 to 1.
        max_frequency: radians per unit, on every axis; INRs without a bound do not meet it.
        min_exact: share of the signal's values that the INR gives back, 0 to 1.
        min_measures, max_measures: smallest and largest values of measures of the observation, such as
            `{"snr": 20}`, dB.
        status: names that are let through; pending INRs never are unless named.
        split: name of a split.
        step: position on the step axis.

    Returns:
        (N, S), boolean.

    Raises:
        InrzooError: a status, split or measure that the store does not have.

    Example:
        >>> signals, seeds = store.select(min_psnr=5, split="train").nonzero()
    """
    names = store.info.status_names
    keep = np.zeros(store.status.shape, dtype=bool)
    for name in status:
        keep |= store.status == _position(names, name, "status")
    floors_and_ceilings = (
        ("psnr", min_psnr, np.greater_equal),
        ("loss", max_loss, np.less_equal),
        ("steps", max_steps, np.less_equal),
        ("out_of_band", max_out_of_band, np.less_equal),
        ("max_frequency", max_frequency, np.less_equal),
        ("exact", min_exact, np.greater_equal),
    )
    for name, limit, holds in floors_and_ceilings:
        if limit is not None:
            column = getattr(store, name)[:, :, step]
            keep &= holds(column.max(axis=-1) if column.ndim == 3 else column, limit)  # NaN meets nothing
    for limits, holds in ((min_measures, np.greater_equal), (max_measures, np.less_equal)):
        for name, limit in (limits or {}).items():
            _position(store.info.measures, name, "measure")
            keep &= holds(store.measures[name][:, :, step], limit)
    if split is not None:
        keep &= (store.split == _position(store.info.split_names, split, "split"))[:, None]
    return keep


def _position(names: Sequence[str], name: str, kind: str) -> int:
    if name not in names:
        raise InrzooError(f"no {kind} {name!r} in this store{among(name, names)}")
    return names.index(name)
