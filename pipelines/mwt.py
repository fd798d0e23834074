"""The SIREN, the classifier and the step sizes that the scripts of MWT share, and how they train over seeds."""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from script import SCALE

from inrzoo.tasks import Measurement, over_runs

Key = TypeVar("Key", bound=Hashable)

HIDDEN, LAYERS = {"tiny": (8, 1), "small": (48, 1), "full": (128, 4)}[SCALE]
SIZES = {"tiny": (8, 1, 8, 1), "small": (64, 2, 32, 2), "full": (128, 10, 64, 1)}[SCALE]
CLASSIFIER = dict(zip(("features", "num_layers", "head_features", "mlp_ratio"), SIZES, strict=True))
INNER = {"inner_steps": 6, "inner_fraction": 1.0} if SCALE == "full" else {"inner_steps": 3, "inner_fraction": 0.5}
FACTORS = (1e-4, 100.0, 1.0) if SCALE == "full" else (1e-3, 20.0, 2.0)
# Of the start; the learned step sizes' and the classifier's are multiples of it.
RATES = dict(zip(("lr", "rates_factor", "classifier_factor"), FACTORS, strict=True))
OPTIMISER = "adamw" if SCALE == "full" else "muon"
"""Of the classifier's matrices. AdamW, the paper's, needs more steps."""
INR: dict[str, Any] = {
    "name": "siren", "convention": "mwt", "omega_0": 10.0, "hidden_features": HIDDEN, "hidden_layers": LAYERS,
}  # fmt: skip


def seed_by_seed(
    rows: Iterable[Key], seeds: int, train: Callable[[Key, int], dict[str, Measurement]]
) -> dict[Key, dict[str, Measurement]]:
    """Train all rows with their first seed before any with its second; means over seeds, or one seed's own numbers."""
    runs: dict[Key, list[dict[str, Measurement]]] = {row: [] for row in rows}
    for seed in range(seeds):
        for row, some in runs.items():
            some.append(train(row, seed))
    return {row: over_runs(some) if seeds > 1 else some[0] for row, some in runs.items()}


def intervals(seeds: int) -> str:
    """Return what the intervals of a table are of."""
    return (
        f"{seeds} seeds with the 95 % interval of their mean" if seeds > 1 else "one seed, intervals over test signals"
    )
