"""The photographs, INRs and transformers that the scripts of the hypernetworks share."""

from typing import Any

from script import SCALE, folders, source

from inrzoo import manifest
from inrzoo.tasks import UnfittedDataset

OUT, DOCUMENT = folders("out/hypernetworks", "docs/hypernetworks.md")
SIGNALS = {"tiny": 80, "small": 12_000, "full": None}[SCALE]
LR = 1e-4 if SCALE == "full" else 3e-3
TOKENS: dict[str, Any] = {
    "tiny": {"features": 8, "num_layers": 1, "num_heads": 2, "mlp_features": 8},
    "small": {"features": 64, "num_layers": 2, "num_heads": 4, "mlp_features": 128},
    "full": {"features": 768, "num_layers": 6, "num_heads": 12, "mlp_features": 3072},
}[SCALE] | {"patch": 4, "dropout": 0.0}


def perceptron(hidden: int, frequencies: int) -> dict[str, Any]:
    """A ReLU MLP with an encoding, as in GINR-IPC."""
    encoding = {"encoding": "log_spaced", "num_frequencies": frequencies, "sigma": 16.0}
    return {"name": "relu_mlp", "hidden_features": hidden, "hidden_layers": 3, **encoding}


def photographs() -> UnfittedDataset:
    """CIFAR-10 at the scale of the run."""
    return UnfittedDataset(manifest.load("cifar10", overrides={"limit": SIGNALS} if SIGNALS else {}), source("cifar10"))
