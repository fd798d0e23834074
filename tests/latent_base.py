"""A base for latents of digits, drawn and not trained, as the checkpoint of a run of functa."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from inrzoo import registry
from inrzoo.checkpoint import Checkpoint
from inrzoo.manifest import Coords
from inrzoo.seeding import Stream

INR = {"name": "latent_siren", "hidden_features": 8, "hidden_layers": 1, "latent_dim": 6, "omega_0": 8.0}
NO_PROGRESS = {"step": 0, "best_step": 0, "score": None, "waited": 0, "sums": {}, "finished": True}


def write_base(path: Path, **fields: Any) -> Path:
    """Write the checkpoint; `fields` are those of `latent_siren` that differ from `INR`."""
    inr = registry.make("inrs", {**INR, **fields}, in_features=2, out_features=1)
    conventions = {
        "inr": {"name": "latent_siren", **asdict(inr)},
        "grid": [8, 8],
        "coords": asdict(Coords()),
        "values": {"range": [-1.0, 1.0]},
    }
    task = {"name": "hypernetwork", "hypernet": {"name": "functa"}}
    state = {"base": torch.from_numpy(inr.init_base(Stream("init", "test", 0)))}
    Checkpoint(task, conventions, {}, NO_PROGRESS, state).write(path)
    return path
