"""Verifies a generated store by drawing its samples again.

Shape letters: B samples of a block, P parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from inrzoo.builder.worker import one_thread
from inrzoo.errors import InrzooError
from inrzoo.generation.run import read_run
from inrzoo.manifest import differences
from inrzoo.store import Store
from inrzoo.tasks.generative.diffusion import require_schedulers

TOLERANCE = 1e-3
"""Allowed root-mean-square difference of a sample that was drawn in another environment, relative to its weights."""


def redraw(
    store: Store,
    run: Path,
    environment: dict[str, str],
    on_block: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[str], str]:
    """Draw all samples of a store again and compare them.

    Args:
        store: a store of `generate`.
        run: the run or checkpoint that it was drawn by.
        environment: this one, `environment_of_samples`.
        on_block: called with the numbers of samples compared and of all.

    Returns:
        A line for each sample that differs; and what was compared, in words.

    Raises:
        InrzooError: the store was not generated, not by this checkpoint, or merged, cut or rounded since.
    """
    info = store.info
    if info.generated is None:
        raise InrzooError(f"--generator {run} is for stores of inrzoo generate; {store.location} is none")
    if info.gathered is not None or info.converted is not None:
        raise InrzooError(f"{store.location} was merged, cut or converted; --generator compares the store before that")
    require_schedulers()
    model = read_run(run)
    if model.sha256 != info.generated.sha256:
        raise InrzooError(
            f"--generator {run} has sha256 {model.sha256[:16]}…; {store.location} was drawn by that of "
            f"{info.generated.sha256[:16]}…"
        )
    elsewhere = differences(info.environment, environment)
    problems = []
    with one_thread():
        for block in store.blocks():
            rows = store.partition.rows(block.index)
            drawn_BP, stored_BP = model.rows(rows, info.generated), store.weights[rows, 0, 0]
            wrong_B = (drawn_BP != stored_BP).any(axis=1)
            if elsewhere:
                error_B = np.sqrt(np.square(drawn_BP - stored_BP).mean(axis=1) / np.square(stored_BP).mean(axis=1))
                wrong_B = ~(error_B <= TOLERANCE)
            problems += [
                f"sample {rows.start + row} is not what the checkpoint draws" for row in np.flatnonzero(wrong_B)
            ]
            on_block(rows.stop, store.num_signals)
    how = f"to {TOLERANCE:g} of their size, from another environment" if elsewhere else "to the bit"
    return problems, f"all INRs were drawn again and compared {how}"
