"""How the scripts of the few-shot paper train encoders: the paper's recipe and ours, each with several seeds."""

from pathlib import Path
from typing import Any

from script import SCALE, folders

from inrzoo.tasks import Measurement, measure, over_runs
from inrzoo.tasks.few_shot import FewShot

FEW = {"steps": 2, "query": 5, "test_query": 5, "validation_episodes": 20, "test_episodes": 20}
MANY_WAYS = {"way": 20, "query": 5, "test_query": 15}
OURS: dict[str, Any] = {
    "tiny": FEW,
    "small": {"steps": 1000, **MANY_WAYS},
    "full": {"steps": 20_000, **MANY_WAYS},
}[SCALE]
"""Our recipe: the defaults of FewShot, with more classes in an episode than are measured."""
PAPERS: dict[str, Any] = {
    "mixtures": 0.0,
    "input_dropout": 0.0,
    "temperature": 1.0,
    "weight_decay": 0.0,
    "lr": 1e-5,
    "schedule": "constant",
    **{
        "tiny": FEW,
        "small": {"steps": 20_000, "validate_every": 1000, "patience": 5},
        "full": {"steps": 200_000, "validate_every": 2000, "patience": 10},
    }[SCALE],
}
"""The paper's recipe: Adam with 1e-5, cosines times 1, episodes of 5 ways and 5 shots, until the validation classes
have not been told apart better for 5 (`full`: 10) validations in a row."""
RECIPES = ("paper's recipe", "ours")
"""Headings of the columns of `both`."""
MEAN_OF_TOKENS = {"name": "layer_transformer", "readout": "mean", "last_norm": True}
"""The transformer of the paper's recipe; the paper leaves both arguments open."""
SEEDS = range({"tiny": 2, "small": 3, "full": 5}[SCALE])
"""Training seeds."""
OUT, DOCUMENT = folders("out/few_shot", "docs/few_shot.md")


def measured(store: Path, run: str, **fields: Any) -> dict[str, Measurement]:
    """Train with every seed, or take the finished runs; the mean over seeds and its interval.

    Raw weights are not trained: their interval is over episodes.
    """
    untrained = fields.get("encoder", {}).get("name") == "raw"
    runs = [
        measure(FewShot(**{**fields, "seed": seed}), store, OUT / "runs" / run / f"seed-{seed}")
        for seed in SEEDS[: 1 if untrained else None]
    ]
    return runs[0] if untrained else over_runs(runs)


def ours(store: Path, run: str, **fields: Any) -> dict[str, Measurement]:
    """Measurements of our recipe, with some fields changed."""
    return measured(store, run, **{**OURS, **fields})


def both(store: Path, run: str, **fields: Any) -> list[dict[str, Measurement]]:
    """Measurements of the paper's recipe and of ours, in the order of `RECIPES`, with the same fields changed."""
    papers = {"encoder": MEAN_OF_TOKENS, **PAPERS, **fields}
    return [measured(store, f"{run}-paper", **papers), ours(store, run, **fields)]


def explained(data: str) -> list[str]:
    """Return the paragraph that says what the numbers of a section are, and of which data."""
    return [
        f"Scale `{SCALE}`, {data}. Accuracy in percent on the test classes: the mean of {len(SEEDS)} trainings and its",
        "95 % interval over training seeds (Student's t; over 1,000 episodes for what is not trained).",
    ]
