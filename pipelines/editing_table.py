"""Dilation of MNIST digits by a change of the weights of their INRs: decoders, beside doing nothing and refitting.

Command:  python pipelines/editing_table.py
Needs:    MNIST, fetched unless INRZOO_MNIST names its files. INRZOO_STORES=RANDOM,SHARED names finished stores of
          `inrzoo build mnist --preset nfn --lr 2e-3`, with random starts and with `--init shared`, which are built
          otherwise. INRZOO_DECODERS=learned_descent takes that one alone. INRZOO_SCALE: tiny|small|full.
Hardware: one CPU core.
Duration: small: 35 CPU minutes after the stores; what is there stays, the same command continues.
Expected: docs/editing.md, docs/editing.png.
"""

import os
from pathlib import Path

import torch
from script import SCALE, begin, folders, source

from inrzoo import manifest
from inrzoo.builder import build
from inrzoo.tasks import Comparison, Measurement, cost, evaluate, train
from inrzoo.tasks.edit import Edit, Editor, load_editor
from inrzoo.tasks.measurements import measured_mean
from inrzoo.tasks.reporting.edit_figure import draw_edits

begin(__doc__)

OUT, DOCUMENT = folders("out/editing", "docs/editing.md")
SIZE = {"tiny": 0.004, "small": 1, "full": 4}[SCALE]
CHOSEN = os.environ.get("INRZOO_DECODERS", "learned_descent,neural_graph,equivariant_mlp").split(",")
STEPS = {"learned_descent": 2500, "neural_graph": 1000, "equivariant_mlp": 2000}
SETTINGS = {
    "neural_graph": {"num_probes": 64, "hidden_features": 16},
    "equivariant_mlp": {"num_frequencies": 16},
}
SHARED_STEPS = 1500
OTHERS = ("erosion", "contrast", "rotation", "denoising")
OTHER_STEPS = 400
MEASURED = {"tiny": 64, "small": 2000, "full": None}[SCALE]
"""INRs of the test split that are measured, spread evenly over it; all if None."""
REFERENCE_INRS = 16 if SCALE == "tiny" else 512
"""INRs that are fitted to their edited signals, and edited in two forms."""
REFITS = (8, 24)


def stores() -> tuple[Path, Path]:
    """The stores with random starts and with one start."""
    if named := os.environ.get("INRZOO_STORES"):
        random, shared = map(Path, named.split(","))
        return random, shared
    made = []
    for mode in ("random", "shared"):
        path = OUT / f"mnist-{mode}.zarr"
        settings = {"init.mode": mode, "fit.lr": 2e-3} | ({"limit": 400, "fit.steps": 60} if SCALE == "tiny" else {})
        build(manifest.load("mnist", preset="nfn", overrides=settings), path, source=source("mnist"), in_process=True)
        made.append(path)
    return made[0], made[1]


def task(decoder: str, steps: int, operation: str = "dilation") -> Edit:
    """The training of a decoder."""
    rates = {} if decoder == "learned_descent" else {"lr": 1e-3, "warmup": 100}
    short = {"validate_every": 5, "validation_inrs": 32} if SCALE == "tiny" else {}
    tables = {"decoder": {"name": decoder, **SETTINGS.get(decoder, {})}, "operation": {"name": operation}}
    return Edit(**tables, steps=max(2, int(SIZE * steps)), **rates, **short)


def trained(training: Edit, store: Path, run: Path) -> dict[str, Measurement]:
    """Train, or take the finished run, and measure errors times 100."""
    train(training, store, run, device="cpu")
    measured = {} if MEASURED is None else {"test_inrs": MEASURED}
    return {one.name: in_hundredths(one) for one in evaluate(run, store, device="cpu", **measured)}


def in_hundredths(found: Measurement) -> Measurement:
    """A measurement of errors times 100, as the papers print them."""
    return Measurement(found.name, 100 * found.mean, 100 * found.interval, found.trials)


def difference_of_members(editor: Editor) -> float:
    """Root mean square difference, of values in [0, 1], of the edits of two weight vectors of one function."""
    generator, squares = torch.Generator().manual_seed(0), []
    for batch in editor.batches(REFERENCE_INRS):
        member = editor.space.inr.random_member(batch.weights, generator)
        with torch.no_grad():
            said = editor.space.render(editor.edited(batch.weights))
            squares.append(editor.space.squared_errors(editor.edited(member), said))
    return float(torch.cat(squares).mean().sqrt())


def refitted(editor: Editor, steps: int) -> Measurement:
    """INRs after some steps of Adam on their edited signals, which no decoder is shown."""
    errors = []
    for batch in editor.batches(REFERENCE_INRS):
        weights, targets = batch.weights.clone().requires_grad_(), editor.targets(batch)
        optimiser = torch.optim.Adam([weights], lr=2e-3)
        for _ in range(steps):
            optimiser.zero_grad()
            editor.space.squared_errors(weights, targets).sum().backward()
            optimiser.step()
        errors.append(editor.space.squared_errors(weights, targets).detach())
    return measured_mean("MSE", torch.cat(errors))


random, shared = stores()
page = Comparison(
    DOCUMENT,
    "Dilation of MNIST",
    ["MSE × 100"],
    notes=["reads", "CPU minutes", "steps", "between members"],
    decimals=3,
)
rows = [(decoder, "random", random, STEPS[decoder]) for decoder in CHOSEN]
rows += [("learned_descent", "shared", shared, SHARED_STEPS)]
for number, (decoder, starts, store, steps) in enumerate(rows):
    training = task(decoder, steps)
    run = OUT / "runs" / f"{decoder}-{starts}"
    found = trained(training, store, run)
    editor = load_editor(run, store, device="cpu")
    if number == 0:
        page.add("no change", {"MSE × 100": found["MSE without a change"]}, notes=[""] * 4)
        for count in REFITS:
            cells = ["the edited signal", "", "", ""]
            page.add(f"{count} steps of Adam", {"MSE × 100": in_hundredths(refitted(editor, count))}, notes=cells)
        draw_edits(run, store, DOCUMENT.with_name("editing.png"), count=6)
    probes = SETTINGS.get(decoder, {}).get("num_probes")
    reads = "function" if decoder == "learned_descent" else "weights and probes" if probes else "weights"
    notes = [reads, f"{cost(run).cpu_seconds / 60:.0f}", f"{training.steps:,}", f"{difference_of_members(editor):.1e}"]
    page.add(f"`{decoder}`, {starts} starts", {"MSE × 100": found["MSE"]}, notes=notes)
signals = "all" if MEASURED is None else f"{MEASURED:,}"
page.write(
    f"Scale `{SCALE}`. SIRENs 2/32/32/1 at 40 dB (`--preset nfn --lr 2e-3`); the best by validation, one training. "
    f"MSE of values in [0, 1] over {signals} signals of the test split, with "
    "95 % interval (refits: 512). "
    '"Between members" is the root mean square difference of two edits of one function, whose weights a random '
    "renumbering, random signs and half turns of phases tell apart: 0 for a decoder with all symmetries of the INR."
)

page = Comparison(DOCUMENT, "Other operations", ["MSE", "MSE without a change"], decimals=3)
for operation in OTHERS:
    run = OUT / "runs" / f"{operation}-random"
    page.add(operation, trained(task("learned_descent", OTHER_STEPS, operation), random, run))
page.write(
    f"Scale `{SCALE}`: `learned_descent`, random starts, {OTHER_STEPS} steps; each with its default fields. Errors "
    "times 100, as above."
)
