"""Lightning trains on streams and on datasets as they are, and sees every INR once an epoch."""

import importlib.util
import subprocess
import sys

import pytest
from made_stores import make_store

SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import inrzoo, lightning, torch
from lightning.pytorch.utilities.data import extract_batch_size
from torch.utils.data import DataLoader

class Module(lightning.LightningModule):
    def __init__(self, num_params):
        super().__init__()
        self.network, self.read = torch.nn.Linear(num_params, 3), []

    def training_step(self, batch, number):
        self.read += zip(batch["signal"].tolist(), batch["seed"].tolist())
        assert extract_batch_size(batch) == len(batch)
        return torch.nn.functional.cross_entropy(self.network(batch["weights"]), batch["label"])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-2)

dataset = inrzoo.load(sys.argv[1])
stream = inrzoo.load(sys.argv[1], streaming=True, shuffle=True, batch_size=16)
for loader in (DataLoader(dataset, batch_size=16, shuffle=True), DataLoader(stream, batch_size=None)):
    module = Module(dataset.layout.num_params)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    lightning.Trainer(max_epochs=2, accelerator="cpu", **quiet).fit(module, loader)
    whole = [(signal, seed) for signal in range(45) for seed in range(3)]
    assert sorted(module.read) == sorted(2 * whole)
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("lightning") is None, reason="lightning is not installed")
def test_a_trainer_reads_every_inr_once_an_epoch(tmp_path):
    path = make_store(tmp_path / "made.zarr").path
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
