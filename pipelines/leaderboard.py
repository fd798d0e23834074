"""Rows of the leaderboard: stores are built, encoders trained with three seeds and scored, results added to the board.

Command:  python pipelines/leaderboard.py
Needs:    MNIST, fetched unless INRZOO_MNIST names its files. INRZOO_SCALE: tiny|small|full.
Hardware: one CPU core. INRZOO_OUT is the folder of stores and runs, INRZOO_DOCUMENT the folder of the board.
Duration: small: half an hour of one core a store, 2 to 30 minutes a row; "full" has the encoders that take hours.
          What is there stays: the same command continues.
Expected: benchmarks/leaderboard/, docs/leaderboard.md.
"""

import logging
import os
from typing import Any

from script import SCALE, begin, folders, source

from inrzoo import build, open_store
from inrzoo.leaderboard import BenchmarkTask, content_sha256, find, run, submit
from inrzoo.leaderboard.running import RESULT

begin(__doc__)

OUT, BOARD = folders("out/leaderboard", "benchmarks/leaderboard")
TASKS = os.environ.get("INRZOO_TASKS", "mnist_random,mnist_shared").split(",")
SEEDS = 2 if SCALE == "tiny" else 3
MESSAGES = {"inputs": "canonical", "lr": 4e-3, "steps": 6000}
FLAT = {"encoder.tensors": "all", "encoder.hidden_features": 256, "steps": 4000}
ROWS: list[tuple[str, dict[str, Any]]] = [
    ("function_probe", {"encoder.num_probes": 256, "steps": 4000}),
    ("function_probe", {"encoder.num_probes": 64, "steps": 4000}),
    ("function_probe", {"encoder.num_probes": 16, "steps": 4000}),
    ("layer_statistics", {"steps": 4000}),
    ("flat_mlp", FLAT),
    ("message_passing", MESSAGES),
    ("graded_message_passing", {"lr": 4e-3, "steps": 6000}),
    ("rendered_conv_net", {"steps": 2000}),
]
SLOW_ROWS: list[tuple[str, dict[str, Any]]] = [
    ("deep_sets", {"steps": 6000}),
    ("equivariant_mlp", {"steps": 6000}),
    ("neuron_transformer", {"steps": 6000}),
    ("relational_transformer", {"steps": 6000}),
]
if SCALE == "tiny":
    ROWS = [(name, {**settings, "steps": 2, "batch_size": 8, "validate_every": 2}) for name, settings in ROWS[:4:3]]

for encoder, settings in ROWS + (SLOW_ROWS if SCALE == "full" else []):
    for name in TASKS:
        task, store = find(name), OUT / f"{name}.zarr"
        if SCALE == "tiny":  # a store of another content is a task of its own
            build(**{**task.build, "limit": 600, "settings": {"source.num_validation": 30, "fit.steps": 30}},
                  source=source("mnist"), out=store, in_process=True)  # fmt: skip
            pinned = content_sha256(open_store(store))
            task = BenchmarkTask(**{**vars(task), "name": f"{name}_tiny", "content_sha256": pinned})
        else:
            build(**task.build, source=source("mnist"), out=store, workers=1)
        folder = OUT / f"{task.name}.{encoder}{settings.get('encoder.num_probes', '')}"
        if not (folder / RESULT).exists():
            result = run(task, encoder, store, folder, seeds=SEEDS, settings=settings)
            logging.getLogger("inrzoo.leaderboard").info("%s %s: %.2f %%", name, result.name, result.mean)
        submit(folder, store, BOARD, task=task)
