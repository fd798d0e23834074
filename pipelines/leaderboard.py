"""Rows of the leaderboard: stores are built, encoders trained with three seeds and scored, results added to the board.

Command:  python pipelines/leaderboard.py
Needs:    MNIST, fetched unless INRZOO_MNIST names its files. INRZOO_SCALE: tiny|small|full.
Hardware: one CPU core. INRZOO_OUT is the folder of stores and runs, INRZOO_BOARD that of results, INRZOO_DOCUMENT the
          page; INRZOO_TASKS chooses tasks.
Duration: small: half an hour of one core a store, 2 to 30 minutes a row; "full" has the encoders that take hours.
          What is there stays: the same command continues.
Expected: benchmarks/leaderboard/, and docs/leaderboard.md, section "Results".
"""

import logging
import os
from pathlib import Path
from typing import Any

from script import SCALE, begin, folders, source

from inrzoo import build, open_store
from inrzoo.leaderboard import BenchmarkTask, as_markdown, content_sha256, find, names, read_results, run, submit
from inrzoo.leaderboard.running import RESULT
from inrzoo.tasks import write_section

begin(__doc__)

OUT, PAGE = folders("out/leaderboard", "docs/leaderboard.md")
BOARD = Path(os.environ.get("INRZOO_BOARD", OUT / "board" if SCALE == "tiny" else "benchmarks/leaderboard"))
SEEDS = 2 if SCALE == "tiny" else 3
FLAT = {"encoder.tensors": "all", "encoder.hidden_features": 256}
PROBES = [
    ("function_probe", {"encoder.num_probes": number, "steps": steps})
    for number, steps in ((256, 12_000), (64, 6000), (16, 4000))
]
DIGITS: list[tuple[str, dict[str, Any]]] = [
    *PROBES,
    ("rendered_conv_net", {"steps": 2000}),
    ("layer_statistics", {"steps": 4000}),
    ("flat_mlp", {**FLAT, "steps": 4000}),
    ("message_passing", {"inputs": "canonical", "lr": 4e-3, "steps": 6000}),
    ("graded_message_passing", {"lr": 4e-3, "steps": 6000}),
]
if SCALE == "full":
    names_of_slow = ("deep_sets", "equivariant_mlp", "neuron_transformer", "relational_transformer")
    DIGITS += [(name, {"steps": 6000}) for name in names_of_slow]
ROWS = {"mnist_random": DIGITS, "mnist_shared": DIGITS}
CHOSEN = os.environ.get("INRZOO_TASKS", ",".join(names())).split(",")
if SCALE == "tiny":
    few = {"steps": 2, "batch_size": 8, "validate_every": 2}
    ROWS = {name: [(encoder, {**each, **few}) for encoder, each in rows[:5:4]] for name, rows in ROWS.items()}

for name in CHOSEN:
    for encoder, settings in ROWS[name]:
        task, store = find(name), OUT / find(name).store_name
        if SCALE == "tiny":  # a store of another content is a task of its own
            build(**{**task.build, "limit": 600, "settings": {"source.num_validation": 30, "fit.steps": 30}},
                  source=source(task.build["dataset"]), out=store, in_process=True)  # fmt: skip
            pinned = content_sha256(open_store(store))
            task = BenchmarkTask(**{**vars(task), "name": f"{name}_tiny", "content_sha256": pinned})
        else:
            build(**task.build, source=source(task.build["dataset"]), out=store, workers=1)
        folder = OUT / f"{task.name}.{encoder}{settings.get('encoder.num_probes', '')}"
        if not (folder / RESULT).exists():
            result = run(task, encoder, store, folder, seeds=SEEDS, settings=settings)
            logging.getLogger("inrzoo.leaderboard").info("%s %s: %.2f %%", name, result.name, result.mean)
        submit(folder, store, BOARD, task=task)
        write_section(PAGE, "Results", as_markdown(read_results(BOARD)).splitlines())
