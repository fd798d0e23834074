"""Rows of the leaderboard: stores are built, networks trained with three seeds and scored, results added to the board.

Command:  python pipelines/leaderboard.py
Needs:    the files that `inrzoo leaderboard list` names: INRZOO_SPOKEN_DIGITS and INRZOO_FURNITURE, without which a
          task is left out; MNIST, Fashion-MNIST, CIFAR-10 and Omniglot are fetched unless INRZOO_MNIST,
          INRZOO_FASHION_MNIST, INRZOO_CIFAR10 and INRZOO_OMNIGLOT name their files. INRZOO_SCALE: tiny|small|full.
Hardware: one CPU core. INRZOO_OUT is the folder of stores and runs, INRZOO_BOARD that of results, INRZOO_DOCUMENT the
          page; INRZOO_TASKS chooses tasks.
Duration: small: 1 to 25 minutes of one core a store (docs/leaderboard.md), 1 to 30 minutes a row; "full" has the
          encoders that take hours. What is there stays: the same command continues.
Expected: benchmarks/leaderboard/, and docs/leaderboard.md, section "Results".
"""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from script import SCALE, begin, folders, source
from small_encoders import RELATIONAL

from inrzoo import build, open_store
from inrzoo.leaderboard import BenchmarkTask, as_markdown, find, read_results, run, submit
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
NFN = {"encoder.hidden_features": 64, "encoder.num_frequencies": 32, "encoder.out_features": 256}
NFT = {
    "encoder.num_layers": 2,
    "encoder.feedforward_factor": 2,
    "encoder.num_latents": 8,
    "encoder.latent_features": 64,
}
SMALLER: dict[str, dict[str, Any]] = {  # networks for a core: a training of each takes a minute or two
    "neural_graph": {"encoder.num_layers": 3, "encoder.hidden_features": 24, "encoder.num_frequencies": 32},
    "nfn": NFN,
    "neuron_transformer": {"encoder.hidden_features": 64, "encoder.num_layers": 3},
    "relational_transformer": {f"encoder.{name}": value for name, value in RELATIONAL.items()},
    "nft": {**NFN, **NFT, "encoder.hidden_features": 32, "encoder.num_frequencies": 16},
    "dws": {"encoder.set_layer": "ds", "encoder.reduction": "mean"},
    "scale_gmn": {"encoder.hidden_features": 16, "encoder.num_layers": 3},
    "weight_transformer": {"encoder.features": 64, "encoder.num_layers": 4},
}
if SCALE == "full":
    names_of_slow = ("raw", "deep_sets", "layer_transformer", "equivariant_mlp", *SMALLER)
    DIGITS += [(name, {"steps": 6000}) for name in names_of_slow]
else:
    few = {"nft": 200, "weight_transformer": 800, "nfn": 400, "neuron_transformer": 400}
    DIGITS += [("raw", {"steps": 3000}), ("deep_sets", {"steps": 1500}), ("layer_transformer", {"steps": 1500})]
    DIGITS += [("equivariant_mlp", {"encoder.hidden_features": 24, "encoder.num_layers": 3, "steps": 300})]
    DIGITS += [(name, {**fields, "batch_size": 32, "steps": few.get(name, 300)}) for name, fields in SMALLER.items()]
PICTURES: list[tuple[str, dict[str, Any]]] = [
    ("function_probe", {"encoder.num_probes": 64, "steps": 6000}),
    ("flat_mlp", {**FLAT, "steps": 4000}),
    ("message_passing", {"inputs": "canonical", "lr": 4e-3, "steps": 6000}),
    ("graded_message_passing", {"lr": 4e-3, "steps": 6000}),
]
FEW_DIGITS: list[tuple[str, dict[str, Any]]] = [  # a few thousand digits need fewer steps than all
    ("function_probe", {"encoder.num_probes": 64, "steps": 1500}),
    ("flat_mlp", {**FLAT, "steps": 1500}),
    ("message_passing", {"inputs": "canonical", "lr": 4e-3, "steps": 1500}),
    ("graded_message_passing", {"lr": 4e-3, "steps": 1500}),
]
PUBLISHED = ("dws", "nfn", "neural_graph", "scale_gmn")
DWS = [*FEW_DIGITS, *((name, {**SMALLER[name], "batch_size": 32, "steps": 600}) for name in PUBLISHED)]
FILTERS = [*FEW_DIGITS[:3], ("deep_sets", {"steps": 1500})]  # graded messages need sines; a FourierNet has filters
NUMBERS: list[tuple[str, dict[str, Any]]] = [
    ("function_probe", {"encoder.num_probes": 64, "steps": 1500}),
    ("layer_statistics", {"steps": 1500}),
    ("flat_mlp", {**FLAT, "steps": 1500}),
    ("message_passing", {"inputs": "canonical", "steps": 1500}),
    ("graded_message_passing", {"steps": 1500}),
]
PAIRS: list[tuple[str, dict[str, Any]]] = [
    ("function_probe", {"encoder.num_probes": 64, "steps": 1500}),
    ("flat_mlp", {**FLAT, "steps": 1500}),
    ("message_passing", {"inputs": "canonical", "steps": 1000}),
    ("graded_message_passing", {"steps": 1000}),
]
AS_FITTED = {"mixtures": 0.0, "input_dropout": 0.0}  # a function is not that of averaged weights
EPISODES: list[tuple[str, dict[str, Any]]] = [
    ("function_probe", {"encoder.num_probes": 256, **AS_FITTED, "steps": 1500}),
    ("flat_mlp", {**FLAT, "steps": 1500}),
    ("message_passing", {"steps": 1000}),
    ("graded_message_passing", {**AS_FITTED, "steps": 1000}),
]
SOUNDS: list[tuple[str, dict[str, Any]]] = [
    ("rendered_conv_net", {"encoder.hop": 128, "encoder.hidden_features": 16, "lr": 3e-3, "steps": 500}),
    ("function_probe", {"encoder.num_probes": 256, "steps": 600}),
    ("flat_mlp", {**FLAT, "steps": 600}),
    ("message_passing", {"inputs": "canonical", "lr": 4e-3, "steps": 200}),
    ("graded_message_passing", {"lr": 4e-3, "steps": 200}),
]
SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("function_probe", {"encoder.num_probes": 256, "lr": 2e-3, "steps": 600}),
    ("flat_mlp", {"encoder.tensors": "all", "encoder.hidden_features": 128, "steps": 600}),
    ("message_passing", {"inputs": "canonical", "lr": 4e-3, "steps": 300}),
    ("graded_message_passing", {"lr": 4e-3, "steps": 300}),
]
DEEPER: list[tuple[str, dict[str, Any]]] = [
    *(("function_probe", {"encoder.num_probes": number, "steps": 3000}) for number in (256, 64, 16)),
    ("rendered_conv_net", {"steps": 1000}),
]
WIDER: list[tuple[str, dict[str, Any]]] = [
    *DEEPER[1:2],
    ("layer_statistics", {"steps": 3000}),
    ("message_passing", {"inputs": "canonical", "lr": 4e-3, "steps": 3000}),
    ("graded_message_passing", {"lr": 4e-3, "steps": 3000}),
]
SMALL_STEPS = {"lr": 1e-3, "warmup": 100, "steps": 500}
EDITS: list[tuple[str, dict[str, Any]]] = [
    ("learned_descent", {"steps": 500}),
    ("equivariant_mlp", {"decoder.num_frequencies": 16, **SMALL_STEPS}),
    ("neural_graph", {"decoder.num_probes": 64, "decoder.hidden_features": 16, **SMALL_STEPS}),
    ("neuron_transformer", SMALL_STEPS),
]
ROWS = {
    **dict.fromkeys(("mnist_random", "mnist_shared"), DIGITS),
    **dict.fromkeys(("fashion_random", "fashion_shared", "cifar10_random", "cifar10_shared"), PICTURES),
    "mnist_nfn": FEW_DIGITS,
    "mnist_dws": DWS,
    "mnist_fourier": FILTERS,
    **dict.fromkeys(("mnist_probe", "mnist_identity"), PAIRS),
    "mnist_psnr": NUMBERS,
    "mnist_wider": WIDER,
    "mnist_deeper": DEEPER,
    "mnist_editing": EDITS,
    **dict.fromkeys(("omniglot_5w1s", "omniglot_5w5s", "omniglot_20w1s"), EPISODES),
    "spoken_digits": SOUNDS,
    "furniture": SHAPES,
}
CHOSEN = os.environ.get("INRZOO_TASKS", ",".join(ROWS)).split(",")
LOG = logging.getLogger("inrzoo.leaderboard")


def smaller(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a build with few signals and steps, for the scale `tiny`."""
    settings = {**arguments.get("settings", {}), "fit.steps": 30}
    settings.pop("source.order", None)  # other pictures may stand in for the dataset
    if arguments["dataset"] == "omniglot":  # all drawings of a character are needed
        settings["source.size"] = 8
    else:
        settings["source.num_validation"] = 30
    few = {key: arguments[key] for key in ("dataset", "preset", "inr", "init", "seeds") if key in arguments}
    if "views" in arguments:
        settings["fit.views"] = [10, 30]
    return {**few, "settings": settings, **({} if arguments["dataset"] == "omniglot" else {"limit": 600})}


def made(arguments: dict[str, Any], store: Path) -> Path:
    """Build a store, or continue with it."""
    options: dict[str, Any] = {"in_process": True} if SCALE == "tiny" else {"workers": 1}
    build(**(smaller(arguments) if SCALE == "tiny" else arguments),
          source=source(arguments["dataset"]), out=store, **options)  # fmt: skip
    return store


def prepared(task: BenchmarkTask) -> BenchmarkTask:
    """Build the stores of a task; at the scale `tiny` they have another content, and are a task of their own."""
    if SCALE == "tiny":
        task = replace(task, name=f"{task.name}_tiny", store=task.store or task.name)
    first = open_store(made(task.build, OUT / task.store_name))
    second = open_store(made(task.test_build, OUT / task.test_store_name)) if task.test_build else None
    if SCALE == "tiny":
        test_pinned = task.content_sha256_of(second) if second else ""
        task = replace(task, content_sha256=task.content_sha256_of(first), test_content_sha256=test_pinned)
    return task


def fewer(task: BenchmarkTask, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of a row with few steps, for the scale `tiny`."""
    few = {"steps": 2, "validate_every": 2}
    small = {
        "few_shot": {"way": 2, "query": 2, "validation_episodes": 2},
        "edit": {"batch_size": 8, "validation_inrs": 8},
    }
    return {**settings, **few, **small.get(task.train, {"batch_size": 8})}


for name in CHOSEN:
    if find(name).source and source(find(name).build["dataset"]) is None:
        LOG.info("%s is left out: INRZOO_%s names no files", name, find(name).build["dataset"].upper())
        continue
    task = prepared(find(name))
    store, second = OUT / task.store_name, OUT / task.test_store_name if task.test_build else None
    for network, settings in ROWS[name][: 1 if SCALE == "tiny" else None]:
        folder = OUT / f"{name}.{network}{settings.get('encoder.num_probes', '')}"
        row = fewer(task, settings) if SCALE == "tiny" else settings
        if not (folder / RESULT).exists():
            result = run(task, network, store, folder, test_store=second, seeds=SEEDS, settings=row)
            LOG.info("%s %s: %.2f %%", name, result.name, result.mean)
        submit(folder, store, BOARD, task=task, test_store=second)
        write_section(PAGE, "Results", as_markdown(read_results(BOARD)).splitlines())
